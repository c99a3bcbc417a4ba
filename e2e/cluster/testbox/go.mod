module ringfence.dev/e2e/cluster/testbox

go 1.26.0
