"""TensorRT engines: export, build, cache and execution. Empty until the engines are written."""
