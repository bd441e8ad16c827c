package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"datum/domain"
)

// Tracing sets the process's OpenTelemetry tracer up from the usual variables: OTEL_TRACES_EXPORTER,
// OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED. Unless an
// exporter or an endpoint is named nothing is collected and nothing is sent. The returned function sends what is left;
// call it once, before the process ends. getenv must read the process's own environment, which the exporters read too.
func Tracing(ctx context.Context, getenv func(string) string, version string, log *slog.Logger) (shutdown func(context.Context) error, err error) {
	none := func(context.Context) error { return nil }
	exporter := getenv("OTEL_TRACES_EXPORTER")
	endpoint := getenv("OTEL_EXPORTER_OTLP_ENDPOINT") + getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if getenv("OTEL_SDK_DISABLED") == "true" || exporter == "none" || (exporter == "" && endpoint == "") {
		return none, nil
	}
	exp, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "the OTEL_ variables for traces are not valid: %w", err)
	}
	// What the environment says comes last and wins.
	res, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "datum"), attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "OTEL_RESOURCE_ATTRIBUTES is not valid: %w", err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exp), trace.WithResource(res))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces could not be sent", "error", err) }))
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}
