package rules

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Compute says what each isolated pod may do. The same state gives the same table, in the same order.
func Compute(state State) Table {
	slices.SortFunc(state.Policies, func(a, b *networkingv1.NetworkPolicy) int {
		return compare(a.Namespace, b.Namespace, a.Name, b.Name)
	})
	slices.SortFunc(state.Pods, func(a, b Pod) int { return a.Address.Compare(b.Address) })
	var table Table
	for _, pod := range state.Pods {
		in, out := Verdict{Pod: pod.Address}, Verdict{Pod: pod.Address}
		isolatedIn, isolatedOut := pod.Unknown, pod.Unknown
		for _, policy := range state.Policies {
			if pod.Unknown || policy.Namespace != pod.Namespace || !matches(&policy.Spec.PodSelector, pod.Labels) {
				continue
			}
			ingress, egress := directions(policy)
			if ingress {
				isolatedIn = true
				in.Allows = append(in.Allows, state.ingress(policy, pod)...)
			}
			if egress {
				isolatedOut = true
				out.Allows = append(out.Allows, state.egress(policy)...)
			}
		}
		if isolatedIn {
			table.Ingress = append(table.Ingress, in)
		}
		if isolatedOut {
			table.Egress = append(table.Egress, out)
		}
	}
	return table
}

// directions applies the defaults of policyTypes: always ingress, and egress when there are rules for it.
func directions(policy *networkingv1.NetworkPolicy) (ingress, egress bool) {
	if len(policy.Spec.PolicyTypes) == 0 {
		return true, len(policy.Spec.Egress) > 0
	}
	return slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress),
		slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
}

// ingress resolves named ports on the selected pod itself: that is where the traffic arrives.
func (s State) ingress(policy *networkingv1.NetworkPolicy, target Pod) []Allow {
	var allows []Allow
	for _, rule := range policy.Spec.Ingress {
		ports := numbered(rule.Ports)
		for _, named := range names(rule.Ports) {
			ports = append(ports, named.on(target)...)
		}
		if len(rule.Ports) > 0 && len(ports) == 0 {
			continue // only names that this pod does not have
		}
		for _, allow := range s.peers(policy.Namespace, rule.From) {
			allow.AnyPort, allow.Ports = len(rule.Ports) == 0, ports
			allows = append(allows, allow)
		}
	}
	return allows
}

// egress resolves named ports on the pods at the other end: the same name may be another number there.
func (s State) egress(policy *networkingv1.NetworkPolicy) []Allow {
	var allows []Allow
	for _, rule := range policy.Spec.Egress {
		ports := numbered(rule.Ports)
		if len(rule.Ports) == 0 || len(ports) > 0 {
			for _, allow := range s.peers(policy.Namespace, rule.To) {
				allow.AnyPort, allow.Ports = len(rule.Ports) == 0, ports
				allows = append(allows, allow)
			}
		}
		for _, named := range names(rule.Ports) {
			for _, pod := range s.Pods {
				if found := named.on(pod); len(found) > 0 && s.admits(policy.Namespace, rule.To, pod) {
					allows = append(allows, Allow{Peers: []netip.Prefix{host(pod.Address)}, Ports: found})
				}
			}
		}
	}
	return allows
}

// peers turns `from` or `to` into allows without ports: one for all pods meant, one for each ipBlock.
func (s State) peers(namespace string, peers []networkingv1.NetworkPolicyPeer) []Allow {
	if len(peers) == 0 {
		return []Allow{{AnyPeer: true}}
	}
	var allows []Allow
	var pods []netip.Prefix
	for _, peer := range peers {
		if peer.IPBlock != nil {
			if allow, ok := block(peer.IPBlock); ok {
				allows = append(allows, allow)
			}
			continue
		}
		for _, pod := range s.Pods {
			if s.isPeer(namespace, peer, pod) && !slices.Contains(pods, host(pod.Address)) {
				pods = append(pods, host(pod.Address))
			}
		}
	}
	if len(pods) > 0 {
		slices.SortFunc(pods, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
		allows = append(allows, Allow{Peers: pods})
	}
	return allows
}

// admits tells whether a pod is among the peers, by selector or by address; no peers means anybody.
func (s State) admits(namespace string, peers []networkingv1.NetworkPolicyPeer, pod Pod) bool {
	if len(peers) == 0 {
		return true
	}
	return slices.ContainsFunc(peers, func(peer networkingv1.NetworkPolicyPeer) bool {
		if peer.IPBlock == nil {
			return s.isPeer(namespace, peer, pod)
		}
		allow, ok := block(peer.IPBlock)
		contains := func(p netip.Prefix) bool { return p.Contains(pod.Address) }
		return ok && (allow.AnyPeer || slices.ContainsFunc(allow.Peers, contains)) &&
			!slices.ContainsFunc(allow.Except, contains)
	})
}

// isPeer applies the selectors of one peer: both given means both must match.
func (s State) isPeer(namespace string, peer networkingv1.NetworkPolicyPeer, pod Pod) bool {
	if pod.Unknown {
		return false
	}
	if peer.NamespaceSelector == nil {
		return pod.Namespace == namespace && peer.PodSelector != nil && matches(peer.PodSelector, pod.Labels)
	}
	space, known := s.Namespaces[pod.Namespace]
	return known && matches(peer.NamespaceSelector, space) &&
		(peer.PodSelector == nil || matches(peer.PodSelector, pod.Labels))
}

// block turns an ipBlock into an allow; not ok when it is no IPv4 range.
func block(given *networkingv1.IPBlock) (Allow, bool) {
	prefix, err := netip.ParsePrefix(given.CIDR)
	if err != nil || !prefix.Addr().Is4() {
		return Allow{}, false
	}
	allow := Allow{Peers: []netip.Prefix{prefix.Masked()}}
	if prefix.Bits() == 0 {
		allow = Allow{AnyPeer: true}
	}
	for _, text := range given.Except {
		except, err := netip.ParsePrefix(text)
		if err != nil || !except.Addr().Is4() {
			return Allow{}, false // an exception that cannot be kept: rather allow nothing
		}
		allow.Except = append(allow.Except, except.Masked())
	}
	return allow, true
}

// A namedPort waits for a pod to say which number it is.
type namedPort struct {
	protocol corev1.Protocol
	name     string
}

func (n namedPort) on(pod Pod) []Port {
	var found []Port
	for _, port := range pod.Ports {
		if port.Name == n.name && orTCP(port.Protocol) == n.protocol {
			found = append(found, Port{n.protocol, true, port.ContainerPort, port.ContainerPort})
		}
	}
	return found
}

func names(ports []networkingv1.NetworkPolicyPort) []namedPort {
	var found []namedPort
	for _, port := range ports {
		if port.Port != nil && port.Port.Type == intstr.String {
			found = append(found, namedPort{protocol(port), port.Port.StrVal})
		}
	}
	return found
}

func numbered(ports []networkingv1.NetworkPolicyPort) []Port {
	var found []Port
	for _, port := range ports {
		switch {
		case port.Port == nil:
			found = append(found, Port{Protocol: protocol(port)})
		case port.Port.Type == intstr.Int && port.EndPort != nil:
			found = append(found, Port{protocol(port), true, port.Port.IntVal, *port.EndPort})
		case port.Port.Type == intstr.Int:
			found = append(found, Port{protocol(port), true, port.Port.IntVal, port.Port.IntVal})
		}
	}
	return found
}

func protocol(port networkingv1.NetworkPolicyPort) corev1.Protocol {
	if port.Protocol == nil {
		return corev1.ProtocolTCP
	}
	return orTCP(*port.Protocol)
}

func orTCP(protocol corev1.Protocol) corev1.Protocol {
	if protocol == "" {
		return corev1.ProtocolTCP
	}
	return protocol
}

// matches treats a selector that cannot be read as one that selects nothing; the API server admits none.
func matches(selector *metav1.LabelSelector, set map[string]string) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(set))
}

func host(address netip.Addr) netip.Prefix { return netip.PrefixFrom(address, address.BitLen()) }

func compare(pairs ...string) int {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] != pairs[i+1] {
			if pairs[i] < pairs[i+1] {
				return -1
			}
			return 1
		}
	}
	return 0
}
