// Package docs_test keeps the documents true where that is cheap: what they name exists, and what exists is named.
package docs_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"

	"datum/adapters"
	"datum/adapters/adaptertest"
	"datum/adapters/all"
	"datum/graph"
	"datum/internal/config"
)

const (
	readme       = "../README.md"
	architecture = "architecture.md"
	adding       = "adding-an-adapter.md"
	operations   = "operations.md"
)

var documents = []string{readme, architecture, adding, operations}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// names fails the test for each word that the document does not have in backquotes.
func names(t *testing.T, document string, words ...string) {
	t.Helper()
	if len(words) == 0 {
		t.Fatalf("%s: nothing to look for", document)
	}
	text := read(t, document)
	for _, w := range words {
		if !regexp.MustCompile("`([^`\n]*[^\\w`\n])?" + regexp.QuoteMeta(w) + "([^\\w`\n][^`\n]*)?`").MatchString(text) {
			t.Errorf("%s does not name `%s`", document, w)
		}
	}
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// constants returns the texts of a file's constants for which keep holds of name and type.
func constants(t *testing.T, file string, keep func(name, typ string) bool) []string {
	t.Helper()
	var values []string
	for _, d := range parse(t, file).Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			typ, _ := v.Type.(*ast.Ident)
			for i, n := range v.Names {
				lit, ok := v.Values[i].(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING || !keep(n.Name, identName(typ)) {
					continue
				}
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, text)
			}
		}
	}
	return values
}

func identName(id *ast.Ident) string {
	if id == nil {
		return ""
	}
	return id.Name
}

func ofType(typ string) func(string, string) bool {
	return func(_, t string) bool { return t == typ }
}

func TestSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	for _, s := range config.Settings() {
		names(t, operations, s.Env)
		if s.Flag != "" {
			names(t, operations, "--"+s.Flag)
		}
	}
	for _, v := range all.Vendors() {
		for _, s := range v.Settings {
			names(t, operations, s.Name)
		}
		for _, l := range v.Limits {
			names(t, operations, "limit."+l.Name)
		}
	}
}

func TestCasesStatusesAndModesAreDocumented(t *testing.T) {
	t.Parallel()
	kinds := constants(t, "../domain/store/case.go", func(name, _ string) bool { return strings.HasPrefix(name, "Case") })
	names(t, operations, kinds...)
	names(t, operations, constants(t, "../domain/store/projection.go", ofType("ProjectionStatus"))...)
	names(t, operations, constants(t, "../domain/store/system.go", ofType("Mode"))...)
	names(t, operations, constants(t, "../domain/store/key.go", ofType("Role"))...)
	names(t, operations, constants(t, "../domain/change/case.go", func(name, _ string) bool { return strings.HasPrefix(name, "Choice") })...)
}

func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	var found []string
	for _, m := range regexp.MustCompile(`desc\("([a-z_]+)"`).FindAllStringSubmatch(read(t, "../jobs/metrics.go"), -1) {
		found = append(found, "datum_"+m[1])
	}
	names(t, operations, found...)
}

func TestCommandsAreDocumented(t *testing.T) {
	t.Parallel()
	usage := constants(t, "../server.go", func(name, _ string) bool { return name == "usage" })
	if len(usage) != 1 {
		t.Fatal("server.go has no usage text")
	}
	for _, m := range regexp.MustCompile(`(?m)^  datum ([a-z]+)`).FindAllStringSubmatch(usage[0], -1) {
		names(t, readme, "datum "+m[1])
	}
}

func TestVendorsAreDocumented(t *testing.T) {
	t.Parallel()
	text := read(t, readme)
	for _, v := range all.Vendors() {
		if !strings.Contains(text, "### Connect "+v.Title) {
			t.Errorf("README.md does not say how to connect %s", v.Title)
		}
		if v.OAuth != nil {
			names(t, readme, v.OAuth.Scopes...)
		}
	}
}

func TestContractIsDocumented(t *testing.T) {
	t.Parallel()
	var interfaces []string
	for _, d := range parse(t, "../adapters/adapter.go").Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			ts, ok := s.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if _, ok := ts.Type.(*ast.InterfaceType); ok && ts.Name.Name != "Doer" { // Doer is given, not implemented
				interfaces = append(interfaces, ts.Name.Name)
			}
		}
	}
	names(t, adding, interfaces...)
	names(t, adding, members(reflect.TypeFor[adapters.Vendor]())...)
	names(t, adding, members(reflect.TypeFor[adapters.Row]())...)
	codes := constants(t, "../domain/error.go", ofType("Code"))
	names(t, adding, codes[:slices.Index(codes, "UNSUPPORTED")+1]...) // what a vendor can answer
	text := read(t, adding)
	for _, m := range members(reflect.TypeFor[adaptertest.Fixture]()) {
		if !regexp.MustCompile(`\b` + m + `\b`).MatchString(text) {
			t.Errorf("%s does not show Fixture.%s", adding, m)
		}
	}
}

func members(t reflect.Type) []string {
	var ms []string
	for i := range t.NumField() {
		if t.Field(i).IsExported() {
			ms = append(ms, t.Field(i).Name)
		}
	}
	return ms
}

// What the README shows to be asked can be asked.
func TestQueriesAreValid(t *testing.T) {
	t.Parallel()
	bodies := regexp.MustCompile(`(?s)-d '(\{"query":.*?\})'`).FindAllStringSubmatch(read(t, readme), -1)
	if len(bodies) < 5 {
		t.Fatalf("README.md shows %d queries", len(bodies))
	}
	for _, m := range bodies {
		var body struct{ Query string }
		if err := json.Unmarshal([]byte(m[1]), &body); err != nil {
			t.Errorf("%v: %s", err, m[1])
			continue
		}
		if _, errs := gqlparser.LoadQueryWithRules(graph.Schema(), body.Query, nil); len(errs) > 0 {
			t.Errorf("%v: %s", errs, body.Query)
		}
	}
}

// Each path and each test that a document names is there, and each link leads somewhere.
func TestWhatIsNamedExists(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, "_test.go") {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(b, -1) {
				tests[string(m[1])] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile("`((?:adapters|docs|domain|graph|internal|jobs|migrations|\\.ci)/[\\w./-]*|[\\w.]+\\.go)`")
	for _, doc := range documents {
		text := read(t, doc)
		for _, m := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(text, -1) {
			if !tests[m[1]] {
				t.Errorf("%s names the test %s, which does not exist", doc, m[1])
			}
		}
		for _, m := range path.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "acme") || doc == adding && !strings.Contains(m[1], "/") {
				continue // the example of a new adapter
			}
			if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
				t.Errorf("%s names %s: %v", doc, m[1], err)
			}
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s has a broken link: %v", doc, err)
			}
		}
		if regexp.MustCompile(`(?i)exactly[- ]once`).MatchString(text) {
			t.Errorf("%s promises what nobody can", doc)
		}
	}
}
