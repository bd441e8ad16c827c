package graph

import (
	"context"
	"strconv"
	"strings"

	"datum/domain"
	"datum/domain/store"
	"datum/graph/loader"
	"datum/graph/model"
)

// Global ids. Entities and cases have ids of their own in TypeID form; what is named by a system gets a prefix.
const (
	systemPrefix     = "system:"
	recordPrefix     = "record:"     // system:kind:external id
	projectionPrefix = "projection:" // entity:system
)

func systemID(name string) string { return systemPrefix + name }

func recordID(system string, k domain.Kind, externalID string) string {
	return recordPrefix + system + ":" + string(k) + ":" + externalID
}

func projectionID(entityID, system string) string { return projectionPrefix + entityID + ":" + system }

func historyID(id int64) string { return strconv.FormatInt(id, 10) }

// parseProjectionID takes a projection's id apart.
func parseProjectionID(id string) (entityID, system string, ok bool) {
	rest, ok := strings.CutPrefix(id, projectionPrefix)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}

// node fetches anything by its global id; nil if there is none.
func (r *Resolver) node(ctx context.Context, id string) (model.Node, error) {
	switch {
	case strings.HasPrefix(id, systemPrefix):
		s, err := r.system(ctx, strings.TrimPrefix(id, systemPrefix))
		if s == nil {
			return nil, err
		}
		return s, err
	case strings.HasPrefix(id, projectionPrefix):
		entity, system, _ := parseProjectionID(id)
		p, err := r.projection(ctx, entity, system)
		if p == nil {
			return nil, err
		}
		return p, err
	case strings.HasPrefix(id, recordPrefix):
		parts := strings.SplitN(strings.TrimPrefix(id, recordPrefix), ":", 3)
		if len(parts) != 3 {
			return nil, nil
		}
		rs, err := store.Records(ctx, r.pool, parts[0], domain.Kind(parts[1]), parts[2:])
		if err != nil || len(rs) == 0 {
			return nil, err
		}
		return recordModel(rs[0]), nil
	case domain.KindOfID(id) != "":
		return r.entity(ctx, id)
	case domain.Prefix(id) != "":
		c, err := r.caseByID(ctx, id)
		if c == nil {
			return nil, err
		}
		return c, err
	}
	return nil, nil
}

func (r *Resolver) system(ctx context.Context, name string) (*model.System, error) {
	ss, err := loader.From(ctx).Systems.Load(ctx, "")()
	return systemModel(ss[name]), err
}

func (r *Resolver) projection(ctx context.Context, entityID, system string) (*model.Projection, error) {
	ps, err := loader.From(ctx).Projections.Load(ctx, entityID)()
	for _, p := range ps {
		if p.System == system {
			return projectionModel(p), err
		}
	}
	return nil, err
}

func (r *Resolver) caseByID(ctx context.Context, id string) (*model.Case, error) {
	c, err := loader.From(ctx).CasesByID.Load(ctx, id)()
	return caseModel(c), err
}
