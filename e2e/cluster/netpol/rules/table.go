// Package rules says what NetworkPolicies allow: a pure function from policies, pods and namespaces
// to a table of verdicts, and the nftables text that makes the kernel keep to it. IPv4 only.
package rules

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// A Pod is what the rules need to know of a pod on this node's network.
type Pod struct {
	Namespace, Name string
	Labels          map[string]string
	Address         netip.Addr
	// Ports are the named container ports: egress and ingress rules may name them.
	Ports []corev1.ContainerPort
	// Unknown marks an address that is in use while the API server knows no pod for it any more
	// (deleted by force, say). Nothing can be said in its favour: it is cut off.
	Unknown bool
}

// A State is one consistent view of the cluster.
type State struct {
	Policies   []*networkingv1.NetworkPolicy
	Pods       []Pod
	Namespaces map[string]map[string]string // name -> labels
}

// A Table holds a verdict for each pod that some policy isolates; all others are open.
type Table struct {
	Ingress []Verdict
	Egress  []Verdict
}

// A Verdict lists what one isolated pod may still do in one direction.
type Verdict struct {
	Pod    netip.Addr
	Allows []Allow
}

// An Allow lets traffic through when the other side is a peer and the port matches.
type Allow struct {
	AnyPeer bool
	Peers   []netip.Prefix // none of them, and not AnyPeer: nobody
	Except  []netip.Prefix
	AnyPort bool
	Ports   []Port
}

// A Port is a protocol and a range of ports; without Numbers it is the whole protocol.
type Port struct {
	Protocol corev1.Protocol
	Numbers  bool
	From, To int32
}
