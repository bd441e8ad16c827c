package hubspotsim

import (
	"fmt"
	"net/http"
	"slices"
)

// pipeline is a sequence of stages of deals or orders.
type pipeline struct {
	ID       string  `json:"id"`
	Label    string  `json:"label"`
	Order    int     `json:"displayOrder"`
	Stages   []stage `json:"stages"`
	Archived bool    `json:"archived"`
	Created  setup   `json:"createdAt"`
	Updated  setup   `json:"updatedAt"`
}

type stage struct {
	ID       string            `json:"id"`
	Label    string            `json:"label"`
	Order    int               `json:"displayOrder"`
	Metadata map[string]string `json:"metadata"`
	Archived bool              `json:"archived"`
	Created  setup             `json:"createdAt"`
	Updated  setup             `json:"updatedAt"`
}

// setup is when the portal's pipelines, stages and tax rates were made.
type setup struct{}

// MarshalText writes the same time for all of them.
func (setup) MarshalText() ([]byte, error) { return []byte("2021-03-01T00:00:00.000Z"), nil }

func dealStage(order int, id, label, probability string) stage {
	closed := probability == "1.0" || probability == "0.0"
	return stage{ID: id, Label: label, Order: order, Metadata: map[string]string{"probability": probability, "isClosed": fmt.Sprint(closed)}}
}

func orderStage(order int, id, label string) stage {
	return stage{ID: id, Label: label, Order: order, Metadata: map[string]string{"state": "OPEN"}}
}

// pipelines are those of the portal: HubSpot's own, and one that its people have made.
var pipelines = map[string][]pipeline{
	"deals": {
		{ID: "default", Label: "Sales Pipeline", Stages: []stage{
			dealStage(0, "appointmentscheduled", "Appointment scheduled", "0.2"), dealStage(1, "qualifiedtobuy", "Qualified to buy", "0.4"),
			dealStage(2, "presentationscheduled", "Presentation scheduled", "0.6"), dealStage(3, "decisionmakerboughtin", "Decision maker bought-in", "0.8"),
			dealStage(4, "contractsent", "Contract sent", "0.9"), dealStage(5, "closedwon", "Closed won", "1.0"), dealStage(6, "closedlost", "Closed lost", "0.0")}},
		{ID: "738112201", Label: "Service contracts", Order: 1, Stages: []stage{
			dealStage(0, "1090214411", "Enquiry", "0.3"), dealStage(1, "1090214412", "Quote sent", "0.7"),
			dealStage(2, "1090214413", "Signed", "1.0"), dealStage(3, "1090214414", "Went elsewhere", "0.0")}},
	},
	"orders": {{ID: "14a2e10e-5471-408a-906e-c51f3b04369e", Label: "Order Pipeline", Stages: []stage{
		orderStage(0, "4b27b500-f031-4927-9811-68a0b525cbae", "Open"), orderStage(1, "937ea84d-0a4f-4dcf-9028-3f9c2aafbf03", "Processed"),
		orderStage(2, "aa99e8d0-c1d5-4071-b915-d240bbb1aed9", "Shipped"), orderStage(3, "3725360f-519b-4b18-a593-494d60a29c9f", "Delivered"),
		orderStage(4, "3c85a297-e9ce-400b-b42e-9f16853d69d6", "Cancelled")}}},
}

func (s *Sim) listPipelines(_ *http.Request, typ string) (int, any, *apiError) {
	return http.StatusOK, map[string]any{"results": append([]pipeline{}, pipelines[typ]...)}, nil
}

func findPipeline(typ, id string) *pipeline {
	i := slices.IndexFunc(pipelines[typ], func(p pipeline) bool { return p.ID == id })
	if i < 0 {
		return nil
	}
	return &pipelines[typ][i]
}

func (p *pipeline) stage(id string) *stage {
	i := slices.IndexFunc(p.Stages, func(st stage) bool { return st.ID == id })
	if i < 0 {
		return nil
	}
	return &p.Stages[i]
}

func (s *Sim) getPipeline(r *http.Request, typ string) (int, any, *apiError) {
	if p := findPipeline(typ, r.PathValue("id")); p != nil {
		return http.StatusOK, p, nil
	}
	return 0, nil, &apiError{http: http.StatusNotFound, Category: "OBJECT_NOT_FOUND", Message: "Pipeline not found"}
}

func (s *Sim) listStages(r *http.Request, typ string) (int, any, *apiError) {
	_, p, e := s.getPipeline(r, typ)
	if e != nil {
		return 0, nil, e
	}
	return http.StatusOK, map[string]any{"results": p.(*pipeline).Stages}, nil
}

// taxRate is one rate of the portal's tax library.
type taxRate struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	Label      string  `json:"label"`
	Percentage float64 `json:"percentageRate"`
	Active     bool    `json:"active"`
	CreatedAt  setup   `json:"createdAt"`
	UpdatedAt  setup   `json:"updatedAt"`
}

// The portal's tax rates: GST, free of GST, and one that is neither.
const (
	RateGST  = "2148420997"
	RateFree = "2148420998"
	RateWine = "2148420999"
)

func (s *Sim) listTaxRates(*http.Request, string) (int, any, *apiError) {
	rate := func(id, name string, percentage float64) taxRate {
		return taxRate{ID: id, Name: name, Label: name, Percentage: percentage, Active: true}
	}
	return http.StatusOK, map[string]any{"results": []taxRate{rate(RateGST, "GST", 10), rate(RateFree, "GST free", 0), rate(RateWine, "Wine equalisation", 29)}}, nil
}
