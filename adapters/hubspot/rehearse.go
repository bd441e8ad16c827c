package hubspot

import (
	"encoding/json"
	"net/http"
	"strings"

	"datum/adapters"
)

// rehearse answers as HubSpot does to what it takes: with the properties as they were sent, and the ids. What was never made is linked
// with nothing.
func rehearse(c adapters.Call, step int) *adapters.Response {
	path, _, _ := strings.Cut(c.Path, "?")
	none := map[string]any{"status": "COMPLETE", "results": []any{}}
	switch {
	case strings.HasSuffix(path, "/batch/archive"):
		return &adapters.Response{Status: http.StatusNoContent, Header: http.Header{}}
	case strings.Contains(path, "/associations/"):
		return adapters.Rehearsed(http.StatusOK, none)
	case !c.Write:
		return nil
	}
	var in struct{ Inputs []input }
	if json.Unmarshal(c.Body, &in) != nil || len(in.Inputs) == 0 {
		return nil
	}
	const at = "2000-01-01T00:00:00Z" // a time that nobody looks at
	results := make([]any, len(in.Inputs))
	for i, x := range in.Inputs {
		id := x.ID
		if strings.HasSuffix(path, "/batch/upsert") {
			id = adapters.Placeholder(step, i)
		}
		results[i] = map[string]any{"id": id, "properties": x.Properties, "objectWriteTraceId": x.TraceID, "new": true, "createdAt": at, "updatedAt": at}
	}
	none["results"] = results
	return adapters.Rehearsed(http.StatusOK, none)
}
