"""Messages and services of `protos/linkage/v1`, generated: run `make protos`."""
