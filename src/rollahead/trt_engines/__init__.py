"""TensorRT: export, build, engine cache, run. Empty until the engines are written."""
