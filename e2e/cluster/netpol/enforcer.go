package main

import (
	"context"
	"errors"
	"log"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"

	"ringfence.dev/e2e/cluster/netpol/rules"
)

const (
	// gather is how long changes are collected before the table is written: a rollout brings many.
	gather = 10 * time.Millisecond
	// retry is the pause after the kernel has refused a table.
	retry = time.Second
)

// An enforcer keeps the kernel's table equal to what the API server's objects ask for.
type enforcer struct {
	factory    informers.SharedInformerFactory
	policies   networkinglisters.NetworkPolicyLister
	pods       corelisters.PodLister
	namespaces corelisters.NamespaceLister
	registry   *registry
	changed    chan struct{}
	settled    chan chan struct{}
	applied    string
}

func newEnforcer(client kubernetes.Interface, registry *registry) *enforcer {
	factory := informers.NewSharedInformerFactory(client, 0)
	return &enforcer{
		factory:    factory,
		policies:   factory.Networking().V1().NetworkPolicies().Lister(),
		pods:       factory.Core().V1().Pods().Lister(),
		namespaces: factory.Core().V1().Namespaces().Lister(),
		registry:   registry,
		changed:    make(chan struct{}, 1),
		settled:    make(chan chan struct{}),
	}
}

// start fills the caches and writes the first table.
func (e *enforcer) start(ctx context.Context) error {
	notify := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { e.touch() },
		UpdateFunc: func(any, any) { e.touch() },
		DeleteFunc: func(any) { e.touch() },
	}
	for _, informer := range []cache.SharedIndexInformer{
		e.factory.Networking().V1().NetworkPolicies().Informer(),
		e.factory.Core().V1().Pods().Informer(),
		e.factory.Core().V1().Namespaces().Informer(),
	} {
		if _, err := informer.AddEventHandler(notify); err != nil {
			return err
		}
	}
	e.factory.Start(ctx.Done())
	for kind, synced := range e.factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return errors.New("no list of " + kind.String())
		}
	}
	return e.apply()
}

// touch says that something changed; the loop will look.
func (e *enforcer) touch() {
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// settle returns once a table computed after this call is in place. A plugin that is late returns at once, and looks again
// when the new pod is to have its policies.
func (e *enforcer) settle(ctx context.Context) error {
	if e.registry.late > 0 {
		time.AfterFunc(e.registry.late+gather, e.touch)
		return nil
	}
	done := make(chan struct{})
	select {
	case e.settled <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loop writes the table whenever something changed, until the context ends. The table stays behind:
// a program that restarts must not open the fence.
func (e *enforcer) loop(ctx context.Context) {
	for {
		var waiting []chan struct{}
		select {
		case <-ctx.Done():
			return
		case <-e.changed:
			time.Sleep(gather)
		case done := <-e.settled:
			waiting = append(waiting, done)
		}
		if err := e.apply(); err != nil {
			log.Print(err)
			time.Sleep(retry)
			e.touch()
			continue // those who wait are not answered: their pod does not start without its rules
		}
		for _, done := range waiting {
			close(done)
		}
	}
}

func (e *enforcer) apply() error {
	state, err := e.observe()
	if err != nil {
		return err
	}
	script := rules.Render(rules.Compute(state))
	if script == e.applied {
		return nil
	}
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(script)
	if output, err := command.CombinedOutput(); err != nil {
		return errors.New("nft: " + string(output) + "\n" + script)
	}
	e.applied = script
	return nil
}

// observe takes one view of everything from the caches.
func (e *enforcer) observe() (rules.State, error) {
	state := rules.State{Namespaces: map[string]map[string]string{}}
	spaces, err := e.namespaces.List(labels.Everything())
	if err != nil {
		return state, err
	}
	for _, space := range spaces {
		state.Namespaces[space.Name] = space.Labels
	}
	if state.Policies, err = e.policies.List(labels.Everything()); err != nil {
		return state, err
	}
	pods, err := e.pods.List(labels.Everything())
	if err != nil {
		return state, err
	}
	late := e.registry.without()
	for _, pod := range podsOf(pods, e.registry.all()) {
		if !late[pod.Address] {
			state.Pods = append(state.Pods, pod)
		}
	}
	return state, nil
}

// podsOf joins the API server's pods with the addresses that the CNI plugin announced. The latter come
// first: they are known before the pod starts, the pod's status only tells them afterwards.
func podsOf(pods []*corev1.Pod, announced map[podKey]netip.Addr) []rules.Pod {
	var found []rules.Pod
	taken := map[netip.Addr]bool{}
	add := func(pod rules.Pod) {
		if !taken[pod.Address] {
			taken[pod.Address] = true
			found = append(found, pod)
		}
	}
	byKey := map[podKey]*corev1.Pod{}
	for _, pod := range pods {
		byKey[podKey{pod.Namespace, pod.Name}] = pod
	}
	for key, address := range announced {
		if pod := byKey[key]; pod != nil {
			add(describe(pod, address))
		} else {
			add(rules.Pod{Namespace: key.namespace, Name: key.name, Address: address, Unknown: true})
		}
	}
	for key, pod := range byKey {
		if _, known := announced[key]; known || pod.Spec.HostNetwork || ended(pod) {
			continue // a host's address is not a pod's; an ended pod's may be somebody else's by now
		}
		if address, err := netip.ParseAddr(pod.Status.PodIP); err == nil && address.Is4() {
			add(describe(pod, address))
		}
	}
	return found
}

func describe(pod *corev1.Pod, address netip.Addr) rules.Pod {
	described := rules.Pod{Namespace: pod.Namespace, Name: pod.Name, Labels: pod.Labels, Address: address}
	for _, container := range pod.Spec.Containers {
		described.Ports = append(described.Ports, container.Ports...)
	}
	for _, container := range pod.Spec.InitContainers {
		if container.RestartPolicy != nil { // a sidecar: it runs, and may serve
			described.Ports = append(described.Ports, container.Ports...)
		}
	}
	return described
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
