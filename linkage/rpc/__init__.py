"""gRPC at the edge: the only hand-written code that sees protobuf."""
