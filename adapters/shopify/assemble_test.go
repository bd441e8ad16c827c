package shopify

import (
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestAssembleInParts: however a file is cut into parts, reading it part by part brings every object once, with all of its
// children in their order.
func TestAssembleInParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var file []byte
		want := map[string]int{}
		n := rapid.IntRange(0, 8).Draw(rt, "orders")
		line := func(o object) {
			b, err := json.Marshal(o)
			if err != nil {
				rt.Fatal(err)
			}
			file = append(append(file, b...), '\n')
		}
		for i := range n {
			id := fmt.Sprintf("gid://shopify/Order/%d", i)
			line(object{"id": id, "note": rapid.StringN(0, 20, 60).Draw(rt, "note")})
			want[id] = rapid.IntRange(0, 5).Draw(rt, "lines")
			for k := range want[id] {
				line(object{"id": fmt.Sprintf("gid://shopify/LineItem/%d", 100*i+k), "__parentId": id})
			}
		}
		if len(file) > 0 && rapid.Bool().Draw(rt, "without the last newline") {
			file = file[:len(file)-1]
		}
		size := rapid.IntRange(1, 400).Draw(rt, "size")
		most := rapid.IntRange(1, 4).Draw(rt, "most")
		offset, got := 0, map[string]int{}
		for range 1000 {
			end := min(offset+size, len(file))
			last := end == len(file)
			roots, read, err := assemble(file[offset:end], last, most)
			if err != nil {
				rt.Fatal(err)
			}
			if read == 0 && !last {
				size *= 2
				continue
			}
			for _, o := range roots {
				id := within(o, "id")
				if _, twice := got[id]; twice {
					rt.Fatalf("%s came twice", id)
				}
				got[id] = len(list(o, "lineItems", "nodes"))
				for k, l := range list(o, "lineItems", "nodes") {
					if want := fmt.Sprintf("gid://shopify/LineItem/%d", 100*(len(got)-1)+k); within(l, "id") != want || l["__parentId"] != nil {
						rt.Fatalf("%s: line %d is %v", id, k, l)
					}
				}
			}
			if offset += int(read); offset == len(file) {
				break
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("read %v, want %v", got, want)
		}
	})
}
