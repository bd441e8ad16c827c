# Every target is a step of .ci/run, which is what CI runs; see there.
.PHONY: check ci format generate lint test race drill demo

check: ; @.ci/run format vet lint rules generated test
ci: ; @.ci/run
format: ; @gofmt -w .
generate: ; @go generate ./...
lint test race drill demo: ; @.ci/run $@
