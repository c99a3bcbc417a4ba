// Command netpol enforces NetworkPolicies on one node: it watches policies, pods and namespaces, and
// keeps one nftables table in step with them. Called as a CNI plugin (CNI_COMMAND is set) it is the
// last of the chain, and holds a new pod back until the table knows its address: no pod of ours has a
// first second without its policies, unless it is told to be late.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	if os.Getenv("CNI_COMMAND") != "" {
		os.Exit(runPlugin(os.Stdin, os.Stdout))
	}
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	socket := flag.String("socket", "", "where the CNI plugin announces pods")
	late := flag.Duration("late", 0, "for how long a new pod has no policies, as with plugins that are late")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig, *socket, *late); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, kubeconfig, socket string, late time.Duration) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	registry := newRegistry()
	registry.late = late
	enforcer := newEnforcer(client, registry)
	if err := enforcer.start(ctx); err != nil {
		return err
	}
	// Only now: whoever finds the socket may rely on being answered by rules that are complete.
	announcements, err := serveAnnouncements(ctx, socket, registry, enforcer.settle)
	if err != nil {
		return err
	}
	defer announcements.Close()
	enforcer.loop(ctx)
	return nil
}
