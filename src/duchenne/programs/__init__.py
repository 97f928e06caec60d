"""PyTorch modules and their slopes as compiled OpenVINO programs."""
