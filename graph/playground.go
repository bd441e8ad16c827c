package graph

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
)

//go:embed playground.html
var playgroundPage string

// playground answers a browser that opens the API's address with a page to try queries on. The page is one file with
// nothing from elsewhere, so that it works without the internet; its policy lets it talk to this server only.
func playground(api http.Handler) http.Handler {
	policy := "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" +
		"; script-src " + inlineHash("script") + "; style-src " + inlineHash("style")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Query().Has("query") || r.Header.Get("Upgrade") != "" ||
			!strings.Contains(r.Header.Get("Accept"), "text/html") {
			api.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write([]byte(playgroundPage))
	})
}

// inlineHash returns the source expression that allows the page's one element of that name.
func inlineHash(element string) string {
	_, rest, _ := strings.Cut(playgroundPage, "<"+element+">")
	code, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(code))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
