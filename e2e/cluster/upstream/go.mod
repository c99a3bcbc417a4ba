module ringfence.dev/e2e/cluster/upstream

go 1.26.0
