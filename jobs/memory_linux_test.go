package jobs_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// starve lets a process have no more address space than it has, plus more bytes: its next growth fails, as on a machine whose memory is used up.
func starve(t testing.TB, pid int, more uint64) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, after, ok := strings.Cut(string(b), "VmSize:")
	if !ok {
		t.Fatalf("no VmSize in %s", b)
	}
	kb, err := strconv.ParseUint(strings.Fields(after)[0], 10, 64)
	must(t, err)
	limit := syscall.Rlimit{Cur: kb<<10 + more, Max: kb<<10 + more}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_AS, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 {
		t.Fatal("prlimit:", errno)
	}
}
