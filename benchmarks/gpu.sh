#!/bin/sh
# All that docs/speed.md asks of a GPU, in at most 10 minutes on an H100 or H200: benchmarks/gpu.sh [FOLDER FOR THE PROFILE]
set -eu
cd "$(dirname "$0")/.."
export PYTHONPATH=. XLA_PYTHON_CLIENT_PREALLOCATE=false
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || echo "no NVIDIA GPU: measuring the CPU"
exec timeout 600 python benchmarks/gpu.py --profile "${1:-gpu_profile}"
