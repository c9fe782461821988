// Command validator reads YAML documents from files and unmarshals the custom resources that the
// chart renders strictly into their own types. Kubernetes schemas do not know these resources.
//
// An unknown or duplicate field, a wrong type, or a missing field that the API server requires is
// an error. It prints the number of checked objects of each kind.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sort"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

type header struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
}

// checks has a function per group, version and kind.
var checks = map[string]func([]byte) error{
	"monitoring.coreos.com/v1/ServiceMonitor": func(text []byte) error {
		var object monitoring.ServiceMonitor
		if err := yaml.UnmarshalStrict(text, &object); err != nil {
			return err
		}
		if len(object.Spec.Endpoints) == 0 {
			return errors.New("spec.endpoints is empty")
		}
		if len(object.Spec.Selector.MatchLabels) == 0 {
			return errors.New("spec.selector.matchLabels is empty and matches every Service")
		}
		return nil
	},
	"monitoring.coreos.com/v1/PrometheusRule": func(text []byte) error {
		var object monitoring.PrometheusRule
		if err := yaml.UnmarshalStrict(text, &object); err != nil {
			return err
		}
		if len(object.Spec.Groups) == 0 {
			return errors.New("spec.groups is empty")
		}
		for _, group := range object.Spec.Groups {
			if len(group.Rules) == 0 {
				return fmt.Errorf("group %s has no rules", group.Name)
			}
		}
		return nil
	},
	"gateway.networking.k8s.io/v1/HTTPRoute": func(text []byte) error {
		var object gateway.HTTPRoute
		if err := yaml.UnmarshalStrict(text, &object); err != nil {
			return err
		}
		return checkParents(object.Spec.ParentRefs)
	},
	"gateway.networking.k8s.io/v1/GRPCRoute": func(text []byte) error {
		var object gateway.GRPCRoute
		if err := yaml.UnmarshalStrict(text, &object); err != nil {
			return err
		}
		return checkParents(object.Spec.ParentRefs)
	},
}

func checkParents(parents []gateway.ParentReference) error {
	if len(parents) == 0 {
		return errors.New("spec.parentRefs is empty")
	}
	for _, parent := range parents {
		if parent.Name == "" {
			return errors.New("spec.parentRefs has an entry without a name")
		}
	}
	return nil
}

func main() {
	counts := map[string]int{}
	failed := false
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		for _, document := range bytes.Split(append([]byte("\n"), text...), []byte("\n---")) {
			var head header
			if err := yaml.Unmarshal(document, &head); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
				failed = true
				continue
			}
			check, known := checks[head.APIVersion+"/"+head.Kind]
			if !known {
				continue
			}
			counts[head.Kind]++
			if err := check(document); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %s %s: %v\n", path, head.Kind, head.Metadata.Name, err)
				failed = true
			}
		}
	}
	kinds := make([]string, 0, len(counts))
	for kind := range counts {
		kinds = append(kinds, kind)
	}
	sort.Strings(kinds)
	for _, kind := range kinds {
		fmt.Printf("%s %d\n", kind, counts[kind])
	}
	if failed {
		os.Exit(1)
	}
}
