package graph

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed graphiql/page.html graphiql/dist
var graphiql embed.FS

// playground answers a browser that opens the API's address with GraphiQL. Everything comes from this server, so that it
// works without the internet; the page's policy lets it talk to this server only. The built files are below the API's
// path, at graphiql/.
// key is filled in for whoever opens the page; "" lets them paste their own.
func playground(api http.Handler, key string) (http.Handler, error) {
	page, err := graphiql.ReadFile("graphiql/page.html")
	if err != nil {
		return nil, err
	}
	if key != "" {
		page = bytes.ReplaceAll(page, []byte("API_KEY"), []byte(key))
	}
	dist, err := fs.Sub(graphiql, "graphiql/dist")
	if err != nil {
		return nil, err
	}
	policy := "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; font-src data:; img-src data:" +
		"; style-src 'self' 'unsafe-inline'; script-src 'self' " + scriptHash(string(page))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if dir, file := path.Split(r.URL.Path); r.Method == http.MethodGet && strings.HasSuffix(dir, "/graphiql/") {
			w.Header().Set("X-Content-Type-Options", "nosniff")
			http.ServeFileFS(w, r, dist, file)
			return
		}
		if r.Method != http.MethodGet || r.URL.Query().Has("query") || r.Header.Get("Upgrade") != "" ||
			!strings.Contains(r.Header.Get("Accept"), "text/html") {
			api.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(page)
	}), nil
}

// scriptHash returns the source expression that allows the page's one inline script.
func scriptHash(page string) string {
	_, rest, _ := strings.Cut(page, "<script>")
	code, _, _ := strings.Cut(rest, "</script>")
	sum := sha256.Sum256([]byte(code))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
