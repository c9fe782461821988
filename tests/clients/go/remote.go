package main

import (
	"context"
	"fmt"
	"math/rand"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
)

// symbols of every request here; the first is empty.
var symbols = []string{"", "__name__", "go_total", "trace_id", "abc", "Counts.", "go_seconds", "seconds"}

func floats(values ...float64) *writev2.TimeSeries {
	series := &writev2.TimeSeries{
		LabelsRefs: []uint32{1, 2},
		Metadata:   &writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, HelpRef: 5},
	}
	for at, value := range values {
		series.Samples = append(series.Samples, &writev2.Sample{Value: value, Timestamp: begin + int64(at)*1000})
	}
	return series
}

func histograms(count int) *writev2.TimeSeries {
	series := &writev2.TimeSeries{
		LabelsRefs: []uint32{1, 6},
		Metadata:   &writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_HISTOGRAM, UnitRef: 7},
	}
	for at := range count {
		series.Histograms = append(series.Histograms, &writev2.Histogram{
			Count:          &writev2.Histogram_CountInt{CountInt: uint64(5 + at)},
			Sum:            1.5,
			Schema:         2,
			ZeroThreshold:  1e-128,
			ZeroCount:      &writev2.Histogram_ZeroCountInt{ZeroCountInt: uint64(2 + at)},
			PositiveSpans:  []*writev2.BucketSpan{{Offset: -1, Length: 2}},
			PositiveDeltas: []int64{1, 1},
			Timestamp:      begin + int64(at)*1000,
		})
	}
	return series
}

func request(series ...*writev2.TimeSeries) *writev2.Request {
	return &writev2.Request{Symbols: symbols, Timeseries: series}
}

// detour sends the first requests to another server.
type detour struct {
	host string
	left int
}

func (d *detour) RoundTrip(request *http.Request) (*http.Response, error) {
	if d.left > 0 {
		d.left--
		request = request.Clone(request.Context())
		request.URL.Host = d.host
	}
	return http.DefaultTransport.RoundTrip(request)
}

func api(address string, transport http.RoundTripper) (*remote.API, error) {
	return remote.NewAPI(
		"http://"+address,
		remote.WithAPIHTTPClient(&http.Client{Transport: transport}),
		remote.WithAPIPath("api/v1/write"),
		remote.WithAPIBackoff(remote.BackoffConfig{Min: time.Millisecond, Max: time.Millisecond, MaxRetries: 10}),
	)
}

// remoteWrite checks the written headers as the stock client reads them, of what is stored whole, in part and not at all; and that it repeats
// after a 503, later, as the server asks it to.
func remoteWrite(ctx context.Context, good, full string) error {
	client, err := api(good, http.DefaultTransport)
	if err != nil {
		return err
	}
	exemplars := floats(1, 2, 3)
	exemplars.Exemplars = []*writev2.Exemplar{{LabelsRefs: []uint32{3, 4}, Value: 0.5, Timestamp: begin}}
	write := func(client *remote.API, series []*writev2.TimeSeries, options ...remote.WriteOption) ([3]int, error) {
		stats, err := client.Write(ctx, remote.WriteV2MessageType, request(series...), options...)
		return [3]int{stats.Samples, stats.Histograms, stats.Exemplars}, err
	}
	for _, time := range []string{"first", "second"} {
		found, err := write(client, []*writev2.TimeSeries{exemplars, histograms(4)})
		if err := first(err, equal("stored the "+time+" time", found, [3]int{3, 4, 1})); err != nil {
			return err
		}
	}
	found, err := write(client, []*writev2.TimeSeries{floats(1, 9, 9, 4), histograms(5)})
	if err == nil || !strings.Contains(err.Error(), "400") || !strings.Contains(err.Error(), "go_total") {
		return fmt.Errorf("a conflict is answered: %v", err)
	}
	if err := equal("stored beside a conflict", found, [3]int{2, 5, 0}); err != nil {
		return err
	}
	found, err = write(client, []*writev2.TimeSeries{floats(9)})
	if err == nil || !strings.Contains(err.Error(), "400") {
		return fmt.Errorf("a conflict alone is answered: %v", err)
	}
	return first(equal("stored of a conflict", found, [3]int{}), repeats(good, full, write))
}

func repeats(good, full string, write func(*remote.API, []*writev2.TimeSeries, ...remote.WriteOption) ([3]int, error)) error {
	client, err := api(good, &detour{host: full, left: 2})
	if err != nil {
		return err
	}
	refusals, begun := 0, time.Now()
	callback := remote.WithWriteRetryCallback(func(err error) {
		if strings.Contains(err.Error(), "503") {
			refusals++
		}
	})
	found, err := write(client, []*writev2.TimeSeries{floats(1, 2, 3)}, callback)
	if err := first(err, equal("stored after refusals", found, [3]int{3, 0, 0}), equal("refusals by 503", refusals, 2)); err != nil {
		return err
	}
	// Each of the two said to come back after 1 to 5 seconds; that it was not at once shows that the header is understood.
	if waited := time.Since(begun); waited < 2*time.Second {
		return fmt.Errorf("the client came back after %v", waited)
	}
	return nil
}

// counter counts the requests that are sent.
type counter struct {
	sent int
}

func (c *counter) RoundTrip(request *http.Request) (*http.Response, error) {
	c.sent++
	return http.DefaultTransport.RoundTrip(request)
}

// tooLarge checks that the stock client reads 413 each time and does not retry, whether the body exceeds the limit a little or by far. A
// connection reset would be retried.
func tooLarge(ctx context.Context, small string) error {
	for _, count := range []int{10_000, 1_000_000} {
		values := make([]float64, count)
		for at := range values {
			values[at] = rand.Float64()
		}
		transport := &counter{}
		client, err := api(small, transport)
		if err != nil {
			return err
		}
		const attempts = 100
		for range attempts {
			_, err := client.Write(ctx, remote.WriteV2MessageType, request(floats(values...)))
			if err == nil || !strings.Contains(err.Error(), "413") || !strings.Contains(err.Error(), "--storage.remote.write-max-body-size") {
				return fmt.Errorf("%d samples: the response is %v", count, err)
			}
		}
		if err := equal(fmt.Sprintf("requests of %d samples in %d attempts", count, attempts), transport.sent, attempts); err != nil {
			return err
		}
	}
	return nil
}
