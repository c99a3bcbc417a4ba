package rules

import (
	"net/netip"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The cluster of all cases: agents (a, b) with a panel, tools (t) whose "panel" is another number.
var (
	agentA = pod("agents", "a", "10.0.0.1", 8080)
	agentB = pod("agents", "b", "10.0.0.2", 8080)
	tool   = pod("tools", "t", "10.0.0.3", 9090)
	ghost  = Pod{Namespace: "agents", Name: "gone", Address: netip.MustParseAddr("10.0.0.9"), Unknown: true}

	spaces = map[string]map[string]string{"agents": {"team": "x"}, "tools": {"team": "y"}}
)

func TestCompute(t *testing.T) {
	all := networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}}
	cases := map[string]struct {
		pods    []Pod
		specs   []networkingv1.NetworkPolicySpec
		ingress []Verdict
		egress  []Verdict
	}{
		"no policy, no verdict": {pods: []Pod{agentA, tool}},
		"policyTypes default to ingress": {
			pods: []Pod{agentA, tool}, specs: specs(spec("a")),
			ingress: []Verdict{{Pod: agentA.Address}},
		},
		"policyTypes default to both with egress rules": {
			pods: []Pod{agentA}, specs: specs(withEgress(spec("a"), networkingv1.NetworkPolicyEgressRule{})),
			ingress: []Verdict{{Pod: agentA.Address}},
			egress:  []Verdict{{Pod: agentA.Address, Allows: []Allow{{AnyPeer: true, AnyPort: true}}}},
		},
		"policyTypes given: egress alone, and nothing allowed": {
			pods: []Pod{agentA}, specs: specs(types(spec("a"), networkingv1.PolicyTypeEgress)),
			egress: []Verdict{{Pod: agentA.Address}},
		},
		"an empty selector takes all pods of its namespace and no other": {
			pods: []Pod{agentA, agentB, tool}, specs: specs(spec("")),
			ingress: []Verdict{{Pod: agentA.Address}, {Pod: agentB.Address}},
		},
		"policies add up": {
			pods: []Pod{agentA, agentB},
			specs: specs(spec("a"), withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{
				From: peers(podPeer("b")), Ports: ports(numberPort("TCP", 80))})),
			ingress: []Verdict{{Pod: agentA.Address, Allows: []Allow{{Peers: hosts(agentB), Ports: []Port{tcp(80, 80)}}}}},
		},
		"a pod selector alone means the policy's namespace": {
			pods:    []Pod{agentA, agentB, pod("tools", "b", "10.0.0.4", 1)},
			specs:   specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{From: peers(podPeer("b"))})),
			ingress: []Verdict{{Pod: agentA.Address, Allows: []Allow{{Peers: hosts(agentB), AnyPort: true}}}},
		},
		"a namespace selector alone means all its pods": {
			pods:    []Pod{agentA, agentB, tool},
			specs:   specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{From: peers(spacePeer("y"))})),
			ingress: []Verdict{{Pod: agentA.Address, Allows: []Allow{{Peers: hosts(tool), AnyPort: true}}}},
		},
		"both selectors in one peer must both match": {
			pods:    []Pod{agentA, agentB, tool},
			specs:   specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{From: peers(both("b", "y"))})),
			ingress: []Verdict{{Pod: agentA.Address}},
		},
		"two peers: either": {
			pods: []Pod{agentA, agentB, tool},
			specs: specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{
				From: peers(spacePeer("y"), podPeer("b"), podPeer("b"))})),
			ingress: []Verdict{{Pod: agentA.Address, Allows: []Allow{{Peers: hosts(agentB, tool), AnyPort: true}}}},
		},
		"selectors that match nobody allow nobody": {
			pods:    []Pod{agentA},
			specs:   specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{From: peers(podPeer("nobody"))})),
			ingress: []Verdict{{Pod: agentA.Address}},
		},
		"an ipBlock with exceptions; host bits do not count": {
			pods:  []Pod{agentA},
			specs: specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{From: peers(blockPeer("10.1.2.3/8", "10.1.0.0/16"))})),
			ingress: []Verdict{{Pod: agentA.Address, Allows: []Allow{{
				Peers: prefixes("10.0.0.0/8"), Except: prefixes("10.1.0.0/16"), AnyPort: true}}}},
		},
		"an ipBlock of everything keeps its exceptions": {
			pods:  []Pod{agentA},
			specs: specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{From: peers(blockPeer("0.0.0.0/0", "10.0.0.0/8"))})),
			ingress: []Verdict{{Pod: agentA.Address, Allows: []Allow{{
				AnyPeer: true, Except: prefixes("10.0.0.0/8"), AnyPort: true}}}},
		},
		"an ipBlock of IPv6 allows no IPv4": {
			pods:    []Pod{agentA},
			specs:   specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{From: peers(blockPeer("::/0"))})),
			ingress: []Verdict{{Pod: agentA.Address}},
		},
		"ports: a range, a protocol without a number, the default protocol": {
			pods: []Pod{agentA},
			specs: specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{Ports: []networkingv1.NetworkPolicyPort{
				rangePort("UDP", 100, 200), {Protocol: ref(corev1.ProtocolSCTP)}, {Port: ref(intstr.FromInt32(80))}}})),
			ingress: []Verdict{{Pod: agentA.Address, Allows: []Allow{{AnyPeer: true, Ports: []Port{
				{corev1.ProtocolUDP, true, 100, 200}, {Protocol: corev1.ProtocolSCTP}, tcp(80, 80)}}}}},
		},
		"a named port of ingress is the selected pod's own": {
			pods:    []Pod{agentA, tool},
			specs:   specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{Ports: ports(namePort("panel"))})),
			ingress: []Verdict{{Pod: agentA.Address, Allows: []Allow{{AnyPeer: true, Ports: []Port{tcp(8080, 8080)}}}}},
		},
		"a named port that the pod does not have allows nothing": {
			pods:    []Pod{agentA},
			specs:   specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{Ports: ports(namePort("nothing"))})),
			ingress: []Verdict{{Pod: agentA.Address}},
		},
		"a named port of egress is the other pod's": {
			pods: []Pod{agentA, agentB, tool},
			specs: specs(types(withEgress(spec("a"), networkingv1.NetworkPolicyEgressRule{
				To: peers(all), Ports: ports(namePort("panel"), numberPort("TCP", 443))}), networkingv1.PolicyTypeEgress)),
			egress: []Verdict{{Pod: agentA.Address, Allows: []Allow{
				{Peers: hosts(agentA, agentB, tool), Ports: []Port{tcp(443, 443)}},
				{Peers: hosts(agentA), Ports: []Port{tcp(8080, 8080)}},
				{Peers: hosts(agentB), Ports: []Port{tcp(8080, 8080)}},
				{Peers: hosts(tool), Ports: []Port{tcp(9090, 9090)}},
			}}},
		},
		"a named port of egress within an ipBlock": {
			pods: []Pod{agentA, tool},
			specs: specs(types(withEgress(spec("a"), networkingv1.NetworkPolicyEgressRule{
				To: peers(blockPeer("10.0.0.0/30", "10.0.0.1/32")), Ports: ports(namePort("panel"))}), networkingv1.PolicyTypeEgress)),
			egress: []Verdict{{Pod: agentA.Address, Allows: []Allow{{Peers: hosts(tool), Ports: []Port{tcp(9090, 9090)}}}}},
		},
		"an address without a pod is cut off, and is nobody's peer": {
			pods:    []Pod{agentA, ghost},
			specs:   specs(withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{From: peers(all)})),
			ingress: []Verdict{{Pod: agentA.Address, Allows: []Allow{{Peers: hosts(agentA), AnyPort: true}}}, {Pod: ghost.Address}},
			egress:  []Verdict{{Pod: ghost.Address}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			state := State{Pods: c.pods, Namespaces: spaces}
			for i, s := range c.specs {
				meta := metav1.ObjectMeta{Namespace: "agents", Name: string(rune('a' + i))}
				state.Policies = append(state.Policies, &networkingv1.NetworkPolicy{ObjectMeta: meta, Spec: s})
			}
			table := Compute(state)
			if !reflect.DeepEqual(table.Ingress, c.ingress) {
				t.Errorf("ingress:\n got %+v\nwant %+v", table.Ingress, c.ingress)
			}
			if !reflect.DeepEqual(table.Egress, c.egress) {
				t.Errorf("egress:\n got %+v\nwant %+v", table.Egress, c.egress)
			}
		})
	}
}

func TestComputeDoesNotDependOnOrder(t *testing.T) {
	policy := func(name string, from networkingv1.NetworkPolicyPeer) *networkingv1.NetworkPolicy {
		s := withIngress(spec("a"), networkingv1.NetworkPolicyIngressRule{From: peers(from)})
		return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "agents", Name: name}, Spec: s}
	}
	one, two := policy("one", podPeer("b")), policy("two", spacePeer("y"))
	forth := Compute(State{Policies: []*networkingv1.NetworkPolicy{one, two}, Pods: []Pod{agentA, agentB, tool}, Namespaces: spaces})
	back := Compute(State{Policies: []*networkingv1.NetworkPolicy{two, one}, Pods: []Pod{tool, agentB, agentA}, Namespaces: spaces})
	if Render(forth) != Render(back) {
		t.Errorf("the order of the lists changes the table:\n%s\n%s", Render(forth), Render(back))
	}
}

func pod(namespace, name, address string, panel int32) Pod {
	return Pod{Namespace: namespace, Name: name, Labels: map[string]string{"app": name},
		Address: netip.MustParseAddr(address), Ports: []corev1.ContainerPort{{Name: "panel", ContainerPort: panel}}}
}

func specs(all ...networkingv1.NetworkPolicySpec) []networkingv1.NetworkPolicySpec { return all }

func spec(app string) networkingv1.NetworkPolicySpec {
	if app == "" {
		return networkingv1.NetworkPolicySpec{}
	}
	return networkingv1.NetworkPolicySpec{PodSelector: *selector("app", app)}
}

func types(s networkingv1.NetworkPolicySpec, all ...networkingv1.PolicyType) networkingv1.NetworkPolicySpec {
	s.PolicyTypes = all
	return s
}

func withIngress(s networkingv1.NetworkPolicySpec, rules ...networkingv1.NetworkPolicyIngressRule) networkingv1.NetworkPolicySpec {
	s.Ingress = rules
	return s
}

func withEgress(s networkingv1.NetworkPolicySpec, rules ...networkingv1.NetworkPolicyEgressRule) networkingv1.NetworkPolicySpec {
	s.Egress = rules
	return s
}

func peers(all ...networkingv1.NetworkPolicyPeer) []networkingv1.NetworkPolicyPeer { return all }

func podPeer(app string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: selector("app", app)}
}

func spacePeer(team string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{NamespaceSelector: selector("team", team)}
}

func both(app, team string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{PodSelector: selector("app", app), NamespaceSelector: selector("team", team)}
}

func blockPeer(cidr string, except ...string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr, Except: except}}
}

func ports(all ...networkingv1.NetworkPolicyPort) []networkingv1.NetworkPolicyPort { return all }

func numberPort(protocol corev1.Protocol, number int32) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: ref(intstr.FromInt32(number))}
}

func rangePort(protocol corev1.Protocol, from, to int32) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: ref(intstr.FromInt32(from)), EndPort: &to}
}

func namePort(name string) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Port: ref(intstr.FromString(name))}
}

func selector(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

func tcp(from, to int32) Port { return Port{corev1.ProtocolTCP, true, from, to} }

func hosts(pods ...Pod) []netip.Prefix {
	var all []netip.Prefix
	for _, pod := range pods {
		all = append(all, host(pod.Address))
	}
	return all
}

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func ref[T any](value T) *T { return &value }
