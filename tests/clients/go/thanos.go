package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/thanos-io/thanos/pkg/extgrpc/snappy"
	"github.com/thanos-io/thanos/pkg/info/infopb"
	"github.com/thanos-io/thanos/pkg/store/labelpb"
	"github.com/thanos-io/thanos/pkg/store/storepb"
	"github.com/thanos-io/thanos/pkg/store/storepb/prompb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// perSeries is how many samples each series has: more than a chunk.
const perSeries = 200

var tenants = []string{"one", "two"}
var replicas = []string{"a", "b"}

// dial connects as Thanos does where nothing else is set: calls are compressed with snappy.
func dial(address string) (*grpc.ClientConn, error) {
	compressed := grpc.WithDefaultCallOptions(grpc.UseCompressor(snappy.Name), grpc.MaxCallRecvMsgSize(math.MaxInt32))
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), compressed)
}

func value(tenant, replica string, at int) float64 {
	return float64(len(tenant)*1000+int(replica[0])) + float64(at)/8
}

func series(tenant, replica string) prompb.TimeSeries {
	lset := labels.FromStrings("__name__", "go_thanos", "replica", replica, "zone", "z")
	one := prompb.TimeSeries{Labels: labelpb.ZLabelsFromPromLabels(lset)}
	for at := range perSeries {
		one.Samples = append(one.Samples, prompb.Sample{Timestamp: begin + int64(at)*15_000, Value: value(tenant, replica, at)})
	}
	return one
}

// writeableStore writes as a Receive router does, and looks for the codes that it knows.
func writeableStore(ctx context.Context, good, full string) error {
	conn, err := dial(good)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := storepb.NewWriteableStoreClient(conn)
	for _, tenant := range tenants {
		request := &storepb.WriteRequest{Tenant: tenant, Replica: 1}
		for _, replica := range replicas {
			request.Timeseries = append(request.Timeseries, series(tenant, replica))
		}
		for range 2 {
			if _, err := client.RemoteWrite(ctx, request); err != nil {
				return fmt.Errorf("tenant %s: %w", tenant, err)
			}
		}
	}
	conflict := series(tenants[0], replicas[0])
	conflict.Samples[7].Value = -1
	_, err = client.RemoteWrite(ctx, &storepb.WriteRequest{Tenant: tenants[0], Timeseries: []prompb.TimeSeries{conflict}})
	if err := equal("a conflict", status.Code(err), codes.AlreadyExists); err != nil {
		return err
	}
	conn, err = dial(full)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = storepb.NewWriteableStoreClient(conn).RemoteWrite(ctx, &storepb.WriteRequest{Timeseries: []prompb.TimeSeries{conflict}})
	return equal("no space left", status.Code(err), codes.Unavailable)
}

// info asks what a querier asks first.
func info(ctx context.Context, good string) error {
	conn, err := dial(good)
	if err != nil {
		return err
	}
	defer conn.Close()
	found, err := infopb.NewInfoClient(conn).Info(ctx, &infopb.InfoRequest{})
	if err != nil {
		return err
	}
	if found.Store == nil {
		return errors.New("no store")
	}
	return first(
		equal("component", found.ComponentType, "receive"),
		equal("newest", found.Store.MaxTime, int64(math.MaxInt64)),
		equal("oldest is at or before what was written", found.Store.MinTime <= begin, true),
		equal("has exemplars", found.Exemplars != nil, true),
		equal("has metadata", found.MetricMetadata != nil, true),
		equal("sharding", found.Store.SupportsSharding, true),
		equal("without replica labels", found.Store.SupportsWithoutReplicaLabels, true),
	)
}

var matchers = []storepb.LabelMatcher{{Type: storepb.LabelMatcher_EQ, Name: "__name__", Value: "go_thanos"}}

// store reads as Thanos Query does.
func store(ctx context.Context, good string) error {
	conn, err := dial(good)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := storepb.NewStoreClient(conn)
	end := begin + perSeries*15_000
	names, err := client.LabelNames(ctx, &storepb.LabelNamesRequest{Start: begin, End: end, Matchers: matchers})
	if err != nil {
		return err
	}
	values, err := client.LabelValues(ctx, &storepb.LabelValuesRequest{Label: "tenant_id", Start: begin, End: end, Matchers: matchers})
	if err != nil {
		return err
	}
	err = first(
		equal("label names", names.Names, []string{"__name__", "replica", "tenant_id", "zone"}),
		equal("label values", values.Values, tenants),
	)
	if err != nil {
		return err
	}
	for _, batch := range []int64{0, 3} {
		for _, without := range [][]string{nil, {"replica"}} {
			request := &storepb.SeriesRequest{
				MinTime: begin, MaxTime: end, Matchers: matchers, WithoutReplicaLabels: without, ResponseBatchSize: batch,
				Aggregates: []storepb.Aggr{storepb.Aggr_RAW},
			}
			if err := readSeries(ctx, client, request); err != nil {
				return fmt.Errorf("without %v, batches of %d: %w", without, batch, err)
			}
		}
	}
	return sharded(ctx, client, end)
}

// all takes what a stream of series brings.
func all(ctx context.Context, client storepb.StoreClient, request *storepb.SeriesRequest) ([]*storepb.Series, error) {
	stream, err := client.Series(ctx, request)
	if err != nil {
		return nil, err
	}
	var found []*storepb.Series
	for {
		response, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, err
		case response.GetWarning() != "":
			return nil, errors.New(response.GetWarning())
		case response.GetBatch() != nil:
			found = append(found, response.GetBatch().Series...)
		case response.GetSeries() != nil:
			found = append(found, response.GetSeries())
		}
	}
}

// readSeries checks order, labels and every sample.
func readSeries(ctx context.Context, client storepb.StoreClient, request *storepb.SeriesRequest) error {
	found, err := all(ctx, client, request)
	if err != nil {
		return err
	}
	sorted := slices.IsSortedFunc(found, func(a, b *storepb.Series) int {
		return labels.Compare(labelpb.ZLabelsToPromLabels(a.Labels), labelpb.ZLabelsToPromLabels(b.Labels))
	})
	if !sorted {
		return errors.New("the series are not in order")
	}
	seen := map[string][]float64{}
	for _, one := range found {
		lset := labelpb.ZLabelsToPromLabels(one.Labels)
		samples, err := decode(one.Chunks)
		if err != nil {
			return fmt.Errorf("%s: %w", lset, err)
		}
		seen[lset.String()] = append(seen[lset.String()], samples...)
	}
	return compare(seen, len(request.WithoutReplicaLabels) > 0)
}

// decode gives the values of chunks, whose times must be those that were written.
func decode(chunks []storepb.AggrChunk) ([]float64, error) {
	var values []float64
	for _, chunk := range chunks {
		if chunk.Raw == nil || chunk.Raw.Type != storepb.Chunk_XOR {
			return nil, fmt.Errorf("a chunk that is not raw XOR: %v", chunk.Raw)
		}
		decoded, err := chunkenc.FromData(chunkenc.EncXOR, chunk.Raw.Data)
		if err != nil {
			return nil, err
		}
		iterator, at := decoded.Iterator(nil), chunk.MinTime
		for iterator.Next() == chunkenc.ValFloat {
			t, value := iterator.At()
			if t != at {
				return nil, fmt.Errorf("a sample at %d instead of %d", t, at)
			}
			at += 15_000
			values = append(values, value)
		}
		if err := iterator.Err(); err != nil {
			return nil, err
		}
		if chunk.MaxTime != at-15_000 {
			return nil, fmt.Errorf("a chunk ends at %d and says %d", at-15_000, chunk.MaxTime)
		}
	}
	return values, nil
}

func compare(seen map[string][]float64, together bool) error {
	expected := map[string][]float64{}
	for _, tenant := range tenants {
		for _, replica := range replicas {
			lset := labels.FromStrings("__name__", "go_thanos", "replica", replica, "tenant_id", tenant, "zone", "z")
			if together {
				lset = labels.FromStrings("__name__", "go_thanos", "tenant_id", tenant, "zone", "z")
			}
			for at := range perSeries {
				expected[lset.String()] = append(expected[lset.String()], value(tenant, replica, at))
			}
		}
	}
	if err := equal("series", len(seen), len(expected)); err != nil {
		return err
	}
	for lset, values := range expected {
		// Replicas of one series may come in either order.
		found := slices.Sorted(slices.Values(seen[lset]))
		if !slices.Equal(found, slices.Sorted(slices.Values(values))) {
			return fmt.Errorf("%s: %d samples that are not the %d that were written", lset, len(found), len(values))
		}
	}
	return nil
}

// sharded asks for the parts of a query that runs on several queriers: together they are the whole.
func sharded(ctx context.Context, client storepb.StoreClient, end int64) error {
	total := 0
	buffers := sync.Pool{New: func() any { return &[]byte{} }}
	for index := range 3 {
		found, err := all(ctx, client, &storepb.SeriesRequest{
			MinTime: begin, MaxTime: end, Matchers: matchers, SkipChunks: true,
			ShardInfo: &storepb.ShardInfo{ShardIndex: int64(index), TotalShards: 3, By: true, Labels: []string{"replica", "tenant_id"}},
		})
		if err != nil {
			return err
		}
		for _, one := range found {
			if len(one.Chunks) > 0 {
				return errors.New("chunks although none are wanted")
			}
			matcher := (&storepb.ShardInfo{ShardIndex: int64(index), TotalShards: 3, By: true, Labels: []string{"replica", "tenant_id"}}).Matcher(&buffers)
			if !matcher.MatchesZLabels(one.Labels) {
				return fmt.Errorf("%v is not of shard %d", one.Labels, index)
			}
		}
		total += len(found)
	}
	return equal("series of all shards", total, len(tenants)*len(replicas))
}
