"""Code for GPUs, tested on the CPU and in Triton's interpreter, never measured on a GPU.

`kernels` holds the loops of gates.py in Triton; `deferred` computes one weight gradient for all steps of a rollout. Both are
used on CUDA devices only, and `framecast.ops.choice.use_algorithm("direct")` disables both. `training/cuda_graph.py` belongs to
them: it records a training step and needs the types of training. `python benchmarks/gpu.py` measures a step with them; what it
does not show to be faster is to be deleted (docs/decisions/0017-code-for-gpus-in-one-place.md).
"""
