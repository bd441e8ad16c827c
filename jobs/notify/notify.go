// Package notify tells people: by webhooks signed as Standard Webhooks has it, by Slack's incoming webhooks, by e-mail. It makes one
// try and says how it went; when to try, and how often, is left to others. Addresses are given by users, so it reaches none inside
// the network unless that is allowed.
package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wneessen/go-mail"

	"datum/domain"
	"datum/domain/alert"
	"datum/domain/store"
)

// Config configures a Sender.
type Config struct {
	Private bool          // private and local addresses may be reached
	TLS     *tls.Config   // for receivers' certificates; nil is the system's
	Timeout time.Duration // of one try; default 15 s
}

// Sender makes tries. It is safe for concurrent use.
type Sender struct {
	cfg    Config
	dialer *net.Dialer
	http   *http.Client
}

// New returns a sender.
func New(cfg Config) *Sender {
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	s := &Sender{cfg: cfg, dialer: &net.Dialer{Timeout: 10 * time.Second}}
	if !cfg.Private {
		// Of the address that is dialled, after the name was resolved: a name cannot lead elsewhere the second time.
		s.dialer.Control = func(_, address string, _ syscall.RawConn) error { return public(address) }
	}
	s.http = &http.Client{
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DialContext: s.dialer.DialContext, TLSClientConfig: cfg.TLS, TLSHandshakeTimeout: 10 * time.Second, // and no proxy: it would dial for us
			ForceAttemptHTTP2: true, IdleConnTimeout: 30 * time.Second, MaxIdleConns: 10},
	}
	return s
}

// inside are the ranges that netip has no word for: shared (carriers), documentation, benchmarks, reserved, NAT64 and 6to4, which
// lead to IPv4 addresses.
var inside = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fec0::/10")}

// public returns an error unless the address, host:port, is one that the whole world may reach.
func public(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return domain.Errorf(domain.Forbidden, "the address is not one that can be checked")
	}
	ip := ap.Addr().WithZone("").Unmap()
	bad := !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()
	for _, p := range inside {
		bad = bad || p.Contains(ip)
	}
	if bad {
		return domain.Errorf(domain.Forbidden, "%s is an address inside the network; DATUM_ALERT_PRIVATE=true allows such receivers", ip)
	}
	return nil
}

// Payload is the body of a webhook.
type Payload struct {
	Type      string    `json:"type"` // alert.firing, alert.reminder, alert.resolved, alert.test
	Timestamp time.Time `json:"timestamp"`
	Data      Data      `json:"data"`
}

// Data is what a webhook is about.
type Data struct {
	Incident string    `json:"incident,omitempty"`
	Rule     string    `json:"rule"`
	Series   string    `json:"series,omitempty"`
	Severity string    `json:"severity,omitempty"`
	Title    string    `json:"title"`
	Text     string    `json:"text"`
	Value    float64   `json:"value"`
	Since    time.Time `json:"since"`
}

// Send makes one try, at the time. An error of the code Forbidden or NotFound will not go away by trying again.
func (s *Sender) Send(ctx context.Context, ch alert.Channel, d store.Delivery, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	switch ch.Type {
	case alert.Webhook:
		body, err := json.Marshal(Payload{Type: "alert." + d.Event, Timestamp: d.CreatedAt.UTC(), Data: Data{Incident: d.Incident, Rule: d.Rule, Series: d.Series,
			Severity: d.Severity, Title: d.Title, Text: d.Body, Value: d.Value, Since: d.Since.UTC()}})
		if err != nil {
			return err
		}
		h, err := Sign(ch.Secrets, d.ID, at, body)
		if err != nil {
			return err
		}
		return s.post(ctx, ch.URL, h, body)
	case alert.Slack:
		body, err := json.Marshal(slack(d))
		if err != nil {
			return err
		}
		return s.post(ctx, ch.URL, nil, body)
	case alert.Email:
		return s.mail(ctx, ch, d, at)
	default:
		return domain.Errorf(domain.Internal, "there is no type of channel %q", ch.Type)
	}
}

// Beat says that Datum lives, to an address that expects to hear so.
func (s *Sender) Beat(ctx context.Context, url string) error {
	return s.post(ctx, url, nil, []byte("{}"))
}

// Sign returns the headers of Standard Webhooks for a body: id, timestamp, and a signature for each secret, by spaces.
func Sign(secrets []string, id string, at time.Time, body []byte) (http.Header, error) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	var signatures []string
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			key, err = base64.RawStdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		}
		if err != nil {
			return nil, domain.Errorf(domain.Invalid, "a signing secret is not base64") // without what it is
		}
		m := hmac.New(sha256.New, key)
		fmt.Fprintf(m, "%s.%s.", id, stamp)
		m.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
	}
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", strings.Join(signatures, " "))
	return h, nil
}

func (s *Sender) post(ctx context.Context, url string, h http.Header, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return domain.Errorf(domain.Invalid, "the channel's address is not a URL")
	}
	if h != nil {
		req.Header = h
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Datum/1")
	resp, err := s.http.Do(req)
	if err != nil {
		return unreached(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case resp.StatusCode == http.StatusGone:
		return domain.Errorf(domain.NotFound, "the receiver answered 410: it wants no more of these")
	case resp.StatusCode/100 == 3:
		return domain.Errorf(domain.Unavailable, "the receiver answered %d: redirects are not followed; give the address it leads to", resp.StatusCode)
	default:
		return domain.Errorf(domain.Unavailable, "the receiver answered %d", resp.StatusCode)
	}
}

// unreached is the error without the address, which may be a secret.
func unreached(err error) error {
	if e, ok := errors.AsType[*domain.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return domain.Errorf(domain.Unavailable, "the receiver could not be reached: %v", e.Err)
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return domain.Errorf(domain.Unavailable, "the receiver did not answer in time")
	}
	return domain.Errorf(domain.Unavailable, "the receiver could not be reached")
}

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type slackBlock struct {
	Type string    `json:"type"`
	Text slackText `json:"text"`
}

type slackMessage struct {
	Text   string       `json:"text"` // what notifications show
	Blocks []slackBlock `json:"blocks"`
}

func slack(d store.Delivery) slackMessage {
	esc := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	icon := map[string]string{"critical": ":red_circle: ", "warning": ":large_yellow_circle: "}[d.Severity]
	if d.Event == alert.Resolved {
		icon = ":large_green_circle: "
	}
	return slackMessage{Text: icon + esc(d.Title), Blocks: []slackBlock{
		{"section", slackText{"mrkdwn", icon + "*" + esc(d.Title) + "*"}}, {"section", slackText{"mrkdwn", esc(d.Body)}}}}
}

func (s *Sender) mail(ctx context.Context, ch alert.Channel, d store.Delivery, at time.Time) error {
	host, port, err := net.SplitHostPort(ch.Server)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil {
		return domain.Errorf(domain.Invalid, "the channel's server must be host:port")
	}
	m := mail.NewMsg()
	if err := errors.Join(m.From(ch.From), m.To(ch.To...)); err != nil {
		return domain.Errorf(domain.Invalid, "the channel's addresses cannot be used")
	}
	m.Subject("[Datum] " + strings.ToUpper(d.Severity) + " " + d.Title)
	m.SetDateWithValue(at)
	m.SetMessageIDWithValue(d.ID + "@datum") // the same at every try
	m.SetBodyString(mail.TypeTextPlain, d.Title+"\n\n"+d.Body+"\n")
	conf := &tls.Config{}
	if s.cfg.TLS != nil {
		conf = s.cfg.TLS.Clone()
	}
	conf.ServerName = host
	opts := []mail.Option{mail.WithPort(n), mail.WithTimeout(s.cfg.Timeout), mail.WithTLSConfig(conf), mail.WithTLSPolicy(mail.TLSMandatory), mail.WithDialContextFunc(s.dialer.DialContext)}
	auth := mail.SMTPAuthAutoDiscover
	switch ch.TLS {
	case "implicit":
		auth = mail.SMTPAuthPlain // discovery does not see that our own dialer encrypts
		opts = append(opts, mail.WithSSL(), mail.WithDialContextFunc((&tls.Dialer{NetDialer: s.dialer, Config: conf}).DialContext))
	case "none":
		auth = mail.SMTPAuthPlainNoEnc
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	}
	if ch.User != "" {
		opts = append(opts, mail.WithSMTPAuth(auth), mail.WithUsername(ch.User), mail.WithPassword(ch.Password))
	}
	c, err := mail.NewClient(host, opts...)
	if err != nil {
		return domain.Errorf(domain.Invalid, "the channel cannot be used: %v", err)
	}
	if err := c.DialAndSendWithContext(ctx, m); err != nil {
		if e, ok := errors.AsType[*domain.Error](err); ok {
			return e
		}
		return domain.Errorf(domain.Unavailable, "the mail server did not take it: %v", err)
	}
	return nil
}
