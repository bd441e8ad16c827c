package sqldb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
)

// proxy stands between the adapter and the server and cuts the connection over which a transaction is ended.
type proxy struct {
	mu  sync.Mutex
	cut string // "", "before" the server hears of it, "after" it has done so
}

func (p *proxy) arm(cut string) { p.mu.Lock(); p.cut = cut; p.mu.Unlock() }

// through returns the database's address by way of the proxy.
func (p *proxy) through(b *base) string {
	b.t.Helper()
	u, err := url.Parse(b.dsn)
	must(b.t, err)
	network, address, q := "tcp", u.Host, u.Query()
	for _, name := range []string{"socket", "host"} {
		if s := q.Get(name); strings.HasPrefix(s, "/") {
			network, address = "unix", s
			if name == "host" {
				address += "/.s.PGSQL." + u.Port()
			}
			q.Del(name)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b.t, err)
	b.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.pipe(client, network, address)
		}
	}()
	if network == "tcp" {
		if _, _, err := net.SplitHostPort(address); err != nil {
			address += map[dialect]string{postgres: ":5432", mariadb: ":3306"}[b.d]
		}
	}
	u.Host, u.RawQuery = l.Addr().String(), q.Encode()
	return u.String()
}

func (p *proxy) pipe(client net.Conn, network, address string) {
	defer client.Close()
	server, err := net.Dial(network, address)
	if err != nil {
		return
	}
	defer server.Close()
	var silent sync.Mutex // held while answers are swallowed
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				client.Close()
				return
			}
			silent.Lock()
			_, err = client.Write(buf[:n])
			silent.Unlock()
			if err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if said := bytes.TrimSuffix(bytes.ToLower(buf[:n]), []byte{0}); bytes.HasSuffix(said, []byte("commit")) {
			p.mu.Lock()
			cut := p.cut
			p.cut = ""
			p.mu.Unlock()
			switch cut {
			case "before":
				return
			case "after":
				silent.Lock()
				_, err := server.Write(buf[:n])
				client.Close()
				silent.Unlock()
				if err == nil && server.SetReadDeadline(time.Now().Add(time.Second)) == nil {
					_, _ = server.Read(buf) // the server has done it once it answers
				}
				return
			}
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// TestLostCommit: a create or update whose end is not known says so; it is found if it was carried out and not if it was not,
// and the same again leaves one row.
func TestLostCommit(t *testing.T) {
	each(t, func(t *testing.T, b *base) {
		a := ops(t, b)
		p := &proxy{}
		cut := b.open(opsMapping, "dsn", p.through(b))
		for n, c := range []struct {
			cut  string
			done bool
		}{{"after", true}, {"before", false}} {
			w := adapters.Write{Kind: domain.KindCustomer, CanonicalID: domain.NewID("cus"), Values: client(n)}
			p.arm(c.cut)
			out := cut.one(t, w)
			is(t, c.cut, out.Err, domain.Unknown)
			if out.Created || out.Record.ExternalID != "" {
				t.Errorf("%s: an unknown outcome says %+v", c.cut, out)
			}
			find := func() int {
				found, err := a.Find(t.Context(), w.Kind, []adapters.Query{{CanonicalID: w.CanonicalID}})
				must(t, err)
				return len(found[0])
			}
			want := 0
			if c.done {
				want = 1
			}
			for deadline := time.Now().Add(time.Minute); find() != want && time.Now().Before(deadline); {
				time.Sleep(10 * time.Millisecond)
			}
			if got := find(); got != want {
				t.Errorf("%s: found %d, want %d", c.cut, got, want)
			}
			out = cut.one(t, w)
			must(t, out.Err)
			if out.Created == c.done || find() != 1 {
				t.Errorf("%s: again created %v, rows %d", c.cut, out.Created, find())
			}
			p.arm(c.cut)
			is(t, c.cut+" of an update", cut.one(t, update(out.Record, w.CanonicalID, domain.Values{"legalName": `"Z"`})).Err, domain.Unknown)
		}
	})
}

// TestErrors: each refusal and each failure of the connection has its code, and none shows the password.
func TestErrors(t *testing.T) {
	each(t, func(t *testing.T, b *base) {
		a := ops(t, b)
		r, w := a.create(t, domain.KindCustomer, client(1))
		const secret = "s3cret-passw0rd"
		u, err := url.Parse(b.dsn)
		must(t, err)
		name := "datum_" + strings.ToLower(r.CanonicalID[10:20])
		b.exec(b.of("CREATE ROLE "+name+" LOGIN PASSWORD '"+secret+"'", "CREATE USER "+name+"@localhost IDENTIFIED BY '"+secret+"'"))
		t.Cleanup(func() {
			b.exec(b.of("DROP OWNED BY "+name, "DO 0"), b.of("DROP ROLE "+name, "DROP USER "+name+"@localhost"))
		})
		schema := strings.Trim(u.Path, "/")
		b.exec(b.of("GRANT USAGE ON SCHEMA ops TO "+name, "DO 0"), "GRANT SELECT ON "+b.of("ops", schema)+".clients TO "+name+b.of("", "@localhost"))
		u.User = url.UserPassword(name, secret)
		reader := b.open(opsMapping, "dsn", u.String())
		errs := []error{}
		expect := func(what string, err error, want domain.Code) {
			t.Helper()
			is(t, what, err, want)
			errs = append(errs, err)
		}
		if _, err := reader.Fetch(t.Context(), r.Kind, r.ExternalID); err != nil {
			t.Fatal(err)
		}
		expect("write without the right", reader.one(t, update(r, w.CanonicalID, domain.Values{"legalName": `"x"`})).Err, domain.Forbidden)
		_, err = reader.Fetch(t.Context(), domain.KindOrder, "1")
		expect("read without the right", err, domain.Forbidden)
		h, err := reader.Check(t.Context())
		expect("check", err, "")
		if text := fmt.Sprint(h.Problems); !strings.Contains(text, "GRANT UPDATE, INSERT ON clients") || !strings.Contains(text, "documents cannot be read") {
			t.Errorf("problems: %q", h.Problems)
		}
		u.User = url.UserPassword(name, "wrong-"+secret)
		_, err = b.open(opsMapping, "dsn", u.String()).Fetch(t.Context(), r.Kind, r.ExternalID)
		if b.d == mariadb || domain.CodeOf(err) != "" { // a test server of Postgres may trust everybody
			expect("wrong password", err, domain.Unauthorized)
		}
		down := *u
		down.Host = "127.0.0.1:1"
		down.RawQuery = ""
		_, err = b.open(opsMapping, "dsn", down.String()).Fetch(t.Context(), r.Kind, r.ExternalID)
		expect("nobody there", err, domain.Unavailable)
		_, err = b.open(strings.ReplaceAll(opsMapping, "clients", "nothing")).Fetch(t.Context(), r.Kind, r.ExternalID)
		expect("no such table", err, domain.Invalid)
		_, err = a.Fetch(t.Context(), domain.KindQuote, "1")
		expect("a kind that is not mapped", err, domain.Unsupported)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = a.Changes(ctx, domain.KindCustomer, "")
		expect("cancelled", err, domain.Unavailable)
		none := b.open("Customer:\n  table: clients\n  key: id\n  fields: {legalName: name}")
		expect("a create without a column for our id", none.one(t, adapters.Write{Kind: domain.KindCustomer, CanonicalID: "cus_9", Values: client(9)}).Err, domain.Unsupported)
		for _, dsn := range []string{"", "mysql://u:" + secret + "@host", "oracle://u:" + secret + "@h/d", "postgres://u:" + secret + "@h:port/d", secret, "mysql://u:" + secret + "@h/d?tls=" + secret} {
			_, err := Vendor().Open(adapters.Session{System: "ops", Settings: map[string]string{"dsn": dsn, "mapping": opsMapping}})
			expect("dsn "+strings.ReplaceAll(dsn, secret, "…"), err, domain.Invalid)
		}
		for _, err := range errs {
			for ; err != nil; err = errors.Unwrap(err) {
				if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
					t.Errorf("the password is in an error: %v", err)
				}
			}
		}
	})
}

// TestLocked: a row that somebody keeps locked is waited for as long as the call may take, and the write is then put off.
func TestLocked(t *testing.T) {
	each(t, func(t *testing.T, b *base) {
		a := ops(t, b)
		r, w := a.create(t, domain.KindCustomer, client(1))
		tx, err := b.db.Begin()
		must(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.Exec("UPDATE clients SET colour = 'x' WHERE id = " + r.ExternalID)
		must(t, err)
		log := &exchanges{}
		within := func(timeout time.Duration) {
			runner, err := rest.NewRunner(rest.Config{System: "ops", Timeout: timeout, Exchanges: log, Secrets: []string{"Client 001"}, Log: slog.New(slog.DiscardHandler)})
			must(t, err)
			a.s.HTTP = runner
		}
		within(200 * time.Millisecond)
		is(t, "locked", a.one(t, update(r, w.CanonicalID, domain.Values{"legalName": `"x"`})).Err, domain.Unavailable)
		must(t, tx.Rollback())
		within(30 * time.Second)
		is(t, "free", a.one(t, update(r, w.CanonicalID, domain.Values{"legalName": `"Z"`})).Err, "")
		if _, err := a.Fetch(t.Context(), r.Kind, r.ExternalID); err != nil {
			t.Error(err)
		}
		xs := log.all()
		if len(xs) != 3 || xs[0].Code != domain.Unavailable || xs[0].Method != "UPDATE" || xs[1].Path != "/clients/"+r.ExternalID || xs[1].Status != 200 ||
			!strings.Contains(xs[1].RequestBody, `"name":"Z"`) || !strings.Contains(xs[1].ResponseBody, `"state":"A"`) || xs[2].Method != "SELECT" {
			t.Errorf("the exchanges are %+v", xs)
		}
	})
}

type exchanges struct {
	mu   sync.Mutex
	list []rest.Exchange
}

func (e *exchanges) Log(x rest.Exchange) { e.mu.Lock(); e.list = append(e.list, x); e.mu.Unlock() }

func (e *exchanges) all() []rest.Exchange { e.mu.Lock(); defer e.mu.Unlock(); return e.list }

// TestCheck: everything that the mapping relies on and that is not so is a problem with its remedy.
func TestCheck(t *testing.T) {
	each(t, func(t *testing.T, b *base) {
		b.exec(`CREATE TABLE bad (id int, datum_id varchar(40), stamp `+b.of("timestamp", "datetime")+`, price double precision, code `+b.of("double precision", "double")+` PRIMARY KEY)`,
			`CREATE TABLE bad_lines (id varchar(9) PRIMARY KEY, bad int, qty float)`, `CREATE TABLE empty_one (id int PRIMARY KEY)`)
		a := b.open(`
Product: {table: bad, key: code, id: datum_id, changed: price, fields: {sku: id}}
Order:
  table: bad
  key: id
  changed: stamp
  fields:
    total: {column: price, constants: {currency: AUD}}
    lines: {table: bad_lines, parent: bad, key: id, columns: {quantity: qty}}
Location: {table: empty_one, key: id, fields: {name: nom}}
Quote: {table: nowhere, key: id, fields: {number: n}}
`, "timeZone", "Pacific/Kiritimati")
		h, err := a.Check(t.Context())
		must(t, err)
		text := strings.Join(h.Problems, "\n")
		for _, want := range []string{"code of bad is", "datum_id", "price of bad is", "the key id of bad has no unique index", "set timeZone", "total is in price",
			"quantity is in qty", "neither a position nor a number", "empty_one has no column nom", "there is no table nowhere"} {
			if !strings.Contains(text, want) {
				t.Errorf("no problem says %q", want)
			}
		}
		if len(h.Problems) != 10 {
			t.Errorf("%d problems:\n%s", len(h.Problems), text)
		}
	})
}
