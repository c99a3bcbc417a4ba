package main

import (
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPodsOf(t *testing.T) {
	ip := netip.MustParseAddr
	cases := map[string]struct {
		pods      []*corev1.Pod
		announced map[podKey]netip.Addr
		want      map[string]bool // address -> unknown
	}{
		"by its status":           {[]*corev1.Pod{stored("a", "10.0.0.1", corev1.PodRunning)}, nil, map[string]bool{"10.0.0.1": false}},
		"without an address":      {[]*corev1.Pod{stored("a", "", corev1.PodPending)}, nil, map[string]bool{}},
		"ended":                   {[]*corev1.Pod{stored("a", "10.0.0.1", corev1.PodFailed)}, nil, map[string]bool{}},
		"announced before status": {[]*corev1.Pod{stored("a", "", corev1.PodPending)}, map[podKey]netip.Addr{{"n", "a"}: ip("10.0.0.1")}, map[string]bool{"10.0.0.1": false}},
		"announcement wins":       {[]*corev1.Pod{stored("a", "10.0.0.1", corev1.PodRunning)}, map[podKey]netip.Addr{{"n", "a"}: ip("10.0.0.2")}, map[string]bool{"10.0.0.2": false}},
		"announced, not stored":   {nil, map[podKey]netip.Addr{{"n", "a"}: ip("10.0.0.1")}, map[string]bool{"10.0.0.1": true}},
		"an address used again belongs to the pod that was announced": {
			[]*corev1.Pod{stored("old", "10.0.0.1", corev1.PodRunning), stored("new", "", corev1.PodPending)},
			map[podKey]netip.Addr{{"n", "new"}: ip("10.0.0.1")}, map[string]bool{"10.0.0.1": false},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			found := podsOf(c.pods, c.announced)
			if len(found) != len(c.want) {
				t.Fatalf("got %+v, want %v", found, c.want)
			}
			for _, pod := range found {
				if unknown, known := c.want[pod.Address.String()]; !known || pod.Unknown != unknown {
					t.Errorf("got %+v, want %v", pod, c.want)
				}
			}
		})
	}
}

func TestPodsOfLeavesOutHostNetwork(t *testing.T) {
	pod := stored("a", "192.168.77.2", corev1.PodRunning)
	pod.Spec.HostNetwork = true
	if found := podsOf([]*corev1.Pod{pod}, nil); len(found) != 0 {
		t.Errorf("the node's address is not a pod's: %+v", found)
	}
}

func TestRegistryKeepsTheNewestSandbox(t *testing.T) {
	registry := newRegistry()
	for _, said := range []announcement{
		{Namespace: "n", Name: "a", Sandbox: "first", Address: "10.0.0.1"},
		{Namespace: "n", Name: "a", Sandbox: "second", Address: "10.0.0.2"},
		{Sandbox: "first", Gone: true},
	} {
		if err := registry.note(said); err != nil {
			t.Fatal(err)
		}
		if said.Sandbox == "second" && registry.all()[podKey{"n", "a"}].String() != "10.0.0.2" {
			t.Error("the older sandbox counts while both exist")
		}
	}
	if found := registry.all(); len(found) != 1 || found[podKey{"n", "a"}].String() != "10.0.0.2" {
		t.Errorf("got %v", found)
	}
	if registry.note(announcement{Sandbox: "x", Address: "fe80::1"}) == nil {
		t.Error("an IPv6 address is taken")
	}
}

func stored(name, address string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name},
		Status:     corev1.PodStatus{PodIP: address, Phase: phase},
	}
}

func TestALatePluginLeavesANewPodOpen(t *testing.T) {
	registry := newRegistry()
	said := announcement{Namespace: "n", Name: "a", Sandbox: "s", Address: "10.0.0.1"}
	if err := registry.note(said); err != nil {
		t.Fatal(err)
	}
	if found := registry.without(); len(found) != 0 {
		t.Errorf("without being late it has policies at once: %v", found)
	}
	registry.late = time.Hour
	if found := registry.without(); !found[netip.MustParseAddr("10.0.0.1")] {
		t.Errorf("it has none yet: %v", found)
	}
	registry.late = time.Nanosecond
	if found := registry.without(); len(found) != 0 {
		t.Errorf("it has them by now: %v", found)
	}
}
