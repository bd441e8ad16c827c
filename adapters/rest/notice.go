package rest

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"datum/adapters"
)

// Noticer is told what an answer says about the future of what was called, nil notices if nothing. It must not take long.
type Noticer interface {
	Notice(ctx context.Context, path string, notices []adapters.Notice)
}

// notice passes on what an answer's headers say: RFC 9745 (Deprecation), RFC 8594 (Sunset), and the vendor's own.
func (c *Client) notice(ctx context.Context, call adapters.Call, resp *adapters.Response) {
	if c.cfg.Noticer == nil || resp.Status >= 500 || resp.Status == http.StatusTooManyRequests {
		return
	}
	ns := notices(resp.Header)
	if c.cfg.Notices != nil {
		ns = append(ns, c.cfg.Notices(call, resp.Header)...)
	}
	c.cfg.Noticer.Notice(ctx, Endpoint(call.Path), ns)
}

func notices(h http.Header) []adapters.Notice {
	var ns []adapters.Notice
	if d := strings.TrimSpace(h.Get("Deprecation")); d != "" && d != "false" {
		says := "since " + d
		if sec, err := strconv.ParseInt(strings.TrimPrefix(d, "@"), 10, 64); err == nil && strings.HasPrefix(d, "@") {
			says = "since " + time.Unix(sec, 0).UTC().Format(time.DateOnly)
		} else if d == "true" || d == "?1" {
			says = ""
		}
		ns = append(ns, adapters.Notice{Sort: adapters.Deprecated, Says: strings.TrimSpace(says + linked(h, "deprecation"))})
	}
	if s := strings.TrimSpace(h.Get("Sunset")); s != "" {
		if at, err := http.ParseTime(s); err == nil {
			s = at.UTC().Format("2006-01-02 15:04 UTC")
		}
		ns = append(ns, adapters.Notice{Sort: adapters.Sunset, Says: s + linked(h, "sunset")})
	}
	return ns
}

var link = regexp.MustCompile(`<([^<>]{1,300})>\s*;[^,]*rel="?([a-z -]+)"?`)

// linked is where the vendor says more about it.
func linked(h http.Header, rel string) string {
	for _, l := range h.Values("Link") {
		for _, m := range link.FindAllStringSubmatch(l, -1) {
			if strings.Contains(m[2], rel) {
				return ", see " + m[1]
			}
		}
	}
	return ""
}

var idSegment = regexp.MustCompile(`^(\d+|[0-9a-fA-F-]{32,36}|.*\d{4,}.*)$`)

// Endpoint is a path without its query and with {id} for what names one object.
func Endpoint(path string) string {
	parts := strings.Split(pathOnly(path), "/")
	for i, p := range parts {
		if idSegment.MatchString(p) && !versionSegment.MatchString(p) {
			parts[i] = "{id}"
		}
	}
	return cut(strings.Join(parts, "/"), 200)
}

var versionSegment = regexp.MustCompile(`^(v\d+|20\d\d-\d\d)$`)
