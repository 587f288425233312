"""The charts on a real cluster: the one that KUBECONFIG names. `make cluster-test`; README.md says how."""
