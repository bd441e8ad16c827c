package match

// edits counts the edits (insert, delete, replace, swap two neighbours) that make a of b: the restricted Damerau distance. It
// stops counting above most and returns most+1.
func edits(a, b []rune, most int) int {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > most {
		return most + 1
	}
	for len(a) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a) == 0 {
		return len(b)
	}
	const short = 32
	var space [3 * (short + 1)]int
	rows := space[:]
	if len(a) > short {
		rows = make([]int, 3*(len(a)+1))
	}
	n := len(a) + 1
	before, last, now := rows[:n], rows[n:2*n], rows[2*n:3*n]
	for i := range last {
		last[i] = i
	}
	for j := 1; j <= len(b); j++ {
		now[0] = j
		least := j
		for i := 1; i < n; i++ {
			d := last[i-1]
			if a[i-1] != b[j-1] {
				d = 1 + min(last[i-1], last[i], now[i-1])
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					d = min(d, before[i-2]+1)
				}
			}
			now[i] = d
			least = min(least, d)
		}
		if least > most {
			return most + 1
		}
		before, last, now = last, now, before
	}
	return min(last[n-1], most+1)
}

// sound is how a name begins and which consonants follow, alike where they sound alike: a longer Soundex without its worst
// losses, as a hash. Texts with too few letters to tell have none: 0.
func sound(flat []rune) uint64 {
	code := make([]byte, 0, 8)
	var last byte
	for i, r := range flat {
		var c byte
		switch r {
		case 'a', 'e', 'i', 'o', 'u', 'y', 'h', 'w':
			if i == 0 {
				c = 'a'
				if r == 'h' || r == 'w' {
					c = byte(r)
				}
			} else {
				if r != 'h' && r != 'w' {
					last = 0
				}
				continue
			}
		case 'b', 'p':
			c = 'p'
		case 'f', 'v':
			c = 'f'
		case 'c', 'g', 'k', 'q', 'x':
			c = 'k'
		case 'j':
			c = 'j'
		case 's', 'z':
			c = 's'
		case 'd', 't':
			c = 't'
		case 'l':
			c = 'l'
		case 'm', 'n':
			c = 'n'
		case 'r':
			c = 'r'
		default:
			continue
		}
		if c == last {
			continue
		}
		last = c
		if code = append(code, c); len(code) == 5 {
			break
		}
	}
	if len(code) < 3 {
		return 0
	}
	return hashText(3, string(code))
}
