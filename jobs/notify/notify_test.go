package notify_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/alert"
	"datum/domain/store"
	"datum/jobs/notify"
)

// The example of the specification's own libraries.
func TestSignIsTheSpecifications(t *testing.T) {
	t.Parallel()
	h, err := notify.Sign([]string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if err != nil || h.Get("webhook-signature") != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" || h.Get("webhook-timestamp") != "1614265330" {
		t.Errorf("%v, %v", h, err)
	}
}

// verify is what a receiver does by https://www.standardwebhooks.com, written from it and not from the sender.
func verify(t *testing.T, secret string, h http.Header, body []byte, now time.Time) bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	at, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(at, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, h.Get("webhook-id")+"."+h.Get("webhook-timestamp")+"."+string(body))
	want := mac.Sum(nil)
	for _, s := range strings.Fields(h.Get("webhook-signature")) {
		version, sig, _ := strings.Cut(s, ",")
		got, err := base64.StdEncoding.DecodeString(sig)
		if version == "v1" && err == nil && hmac.Equal(got, want) {
			return true
		}
	}
	return false
}

var notice = store.Delivery{ID: domain.NewID("msg"), Event: alert.Firing, Rule: "writes_refused", Series: "system=crm", Severity: "critical",
	Title: "The vendor refuses <writes> & more", Body: "What to do: see the cases.", Value: 3, Since: time.Unix(1, 0), CreatedAt: time.Unix(2, 0)}

// TestWebhook: signed with both secrets while they are rotated, under the same id at every try.
func TestWebhook(t *testing.T) {
	t.Parallel()
	secrets := []string{"whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("n"), 32)), "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("o"), 24))}
	status, checked := http.StatusOK, 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("webhook-id") != notice.ID {
			t.Errorf("id %q, %v", r.Header.Get("webhook-id"), err)
		}
		for _, s := range secrets {
			if !verify(t, s, r.Header, body, time.Now()) {
				t.Errorf("the signature does not verify with %s: %v", s[:10], r.Header)
			}
		}
		if verify(t, "whsec_"+base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), 32)), r.Header, body, time.Now()) || verify(t, secrets[0], r.Header, append(body, ' '), time.Now()) {
			t.Error("anything verifies")
		}
		var p map[string]any
		if err := json.Unmarshal(body, &p); err != nil || p["type"] != "alert.firing" || p["data"].(map[string]any)["rule"] != "writes_refused" {
			t.Errorf("%s, %v", body, err)
		}
		checked++
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	defer srv.Close()
	s := notify.New(notify.Config{Private: true})
	ch := alert.Channel{Type: alert.Webhook, URL: srv.URL, Secrets: secrets}
	for _, c := range []struct {
		status int
		code   domain.Code
	}{{200, ""}, {204, ""}, {500, domain.Unavailable}, {400, domain.Unavailable}, {302, domain.Unavailable}, {410, domain.NotFound}} {
		status = c.status
		if err := s.Send(t.Context(), ch, notice, time.Now()); domain.CodeOf(err) != c.code {
			t.Errorf("%d: %v", c.status, err)
		}
	}
	if checked != 6 {
		t.Errorf("%d requests: redirects are not followed", checked)
	}
}

// TestNoPrivateAddresses: neither as it is written nor as a name leads to it, unless allowed.
func TestNoPrivateAddresses(t *testing.T) {
	t.Parallel()
	reached := false
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	s := notify.New(notify.Config{})
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.1.2.3", "192.168.0.1", "172.16.9.9", "169.254.169.254", "100.64.0.1",
		"[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "255.255.255.255"} {
		err := s.Send(t.Context(), alert.Channel{Type: alert.Slack, URL: "http://" + host + ":" + port}, notice, time.Now())
		if domain.CodeOf(err) != domain.Forbidden && host != "[::1]" || err == nil { // a machine without IPv6 cannot even try
			t.Errorf("%s: %v", host, err)
		} else if domain.CodeOf(err) == domain.Forbidden && !strings.Contains(err.Error(), "DATUM_ALERT_PRIVATE") {
			t.Errorf("%s: %v does not say what to do", host, err)
		}
	}
	mail := alert.Channel{Type: alert.Email, Server: "127.0.0.1:" + port, TLS: "none", From: "a@example.com", To: []string{"b@example.com"}}
	if err := s.Send(t.Context(), mail, notice, time.Now()); domain.CodeOf(err) != domain.Forbidden {
		t.Errorf("by e-mail: %v", err)
	}
	if reached {
		t.Error("it was reached")
	}
}

func TestSlack(t *testing.T) {
	t.Parallel()
	var got struct {
		Text   string
		Blocks []struct {
			Type string
			Text struct{ Type, Text string }
		}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Header.Get("Content-Type") != "application/json" {
			t.Error(err, r.Header)
		}
	}))
	defer srv.Close()
	if err := notify.New(notify.Config{Private: true}).Send(t.Context(), alert.Channel{Type: alert.Slack, URL: srv.URL}, notice, time.Now()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.Text, "&lt;writes&gt; &amp; more") || len(got.Blocks) != 2 || got.Blocks[0].Type != "section" || got.Blocks[1].Text.Type != "mrkdwn" || !strings.Contains(got.Blocks[1].Text.Text, "see the cases") {
		t.Errorf("%+v", got)
	}
}

// mailbox is a small SMTP server: it speaks as RFC 5321, 3207 and 4954 have it, and keeps what it is given.
type mailbox struct {
	addr string
	got  chan letter
}

type letter struct {
	user, password, from string
	to                   []string
	encrypted            bool
	data                 string
}

func newMailbox(t *testing.T, mode string, conf *tls.Config) *mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	m := &mailbox{addr: l.Addr().String(), got: make(chan letter, 4)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(c, mode, conf)
		}
	}()
	return m
}

func (m *mailbox) serve(c net.Conn, mode string, conf *tls.Config) {
	defer func() { c.Close() }()
	var x letter
	if mode == "implicit" {
		c, x.encrypted = tls.Server(c, conf), true
	}
	r := bufio.NewReader(c)
	say := func(s string) { io.WriteString(c, s+"\r\n") }
	say("220 mail.example ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO", "HELO":
			say("250-mail.example")
			if mode == "starttls" && !x.encrypted {
				say("250-STARTTLS")
			}
			if x.encrypted || mode == "none" {
				say("250-AUTH PLAIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go ahead")
			c, x.encrypted = tls.Server(c, conf), true
			r = bufio.NewReader(c)
		case "AUTH":
			b, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if parts := strings.Split(string(b), "\x00"); len(parts) == 3 {
				x.user, x.password = parts[1], parts[2]
			}
			if x.password != "pass" {
				say("535 no")
				continue
			}
			say("235 ok")
		case "MAIL":
			x.from = rest
			say("250 ok")
		case "RCPT":
			x.to = append(x.to, rest)
			say("250 ok")
		case "DATA":
			say("354 go on")
			for {
				l, err := r.ReadString('\n')
				if err != nil || l == ".\r\n" {
					break
				}
				x.data += l
			}
			m.got <- x
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// TestMail: plain, by STARTTLS and over TLS, with a login; and never unencrypted where that was not asked for.
func TestMail(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(nil) // for its certificate
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	conf := &tls.Config{Certificates: srv.TLS.Certificates}
	s := notify.New(notify.Config{Private: true, TLS: &tls.Config{RootCAs: roots}})
	for _, mode := range []string{"starttls", "implicit", "none"} {
		box := newMailbox(t, mode, conf)
		ch := alert.Channel{Type: alert.Email, Server: box.addr, TLS: mode, User: "datum", Password: "pass", From: "Datum <datum@example.com>", To: []string{"jo@example.com", "kim@example.com"}}
		if err := s.Send(t.Context(), ch, notice, time.Now()); err != nil {
			t.Errorf("%s: %v", mode, err)
			continue
		}
		x := <-box.got
		if x.encrypted != (mode != "none") || x.user != "datum" || !strings.Contains(x.from, "<datum@example.com>") || len(x.to) != 2 ||
			!strings.Contains(x.data, "Message-ID: <"+notice.ID+"@datum>") || !strings.Contains(x.data, "Subject: [Datum] CRITICAL") || !strings.Contains(x.data, "What to do: see the cases.") {
			t.Errorf("%s: %+v", mode, x)
		}
		ch.Password = "wrong"
		if err := s.Send(t.Context(), ch, notice, time.Now()); err == nil || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s with a wrong password: %v", mode, err)
		}
	}
	box := newMailbox(t, "none", conf)
	if err := s.Send(t.Context(), alert.Channel{Type: alert.Email, Server: box.addr, From: "a@example.com", To: []string{"b@example.com"}}, notice, time.Now()); err == nil {
		t.Error("a server without STARTTLS was trusted")
	}
	if err := notify.New(notify.Config{Private: true}).Send(t.Context(), alert.Channel{Type: alert.Email, Server: newMailbox(t, "implicit", conf).addr, TLS: "implicit", From: "a@example.com", To: []string{"b@example.com"}}, notice, time.Now()); err == nil {
		t.Error("an unknown certificate was trusted")
	}
}
