package jobs_test

import "syscall"

// dieWithParent ends the process when the test binary is killed before it could.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
