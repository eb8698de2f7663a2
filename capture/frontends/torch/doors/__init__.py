"""Quern in the place of torch.compile: every name by which a program comes to torch's compiler leads to quern.

replacing   how torch's functions are made to lead elsewhere, and restored
callers     who calls: torch's own code keeps torch's own compiler
install     the names of `torch` and `torch.compiler`, as soon as torch is there
dynamo      those of `torch._dynamo`, as soon as that is there
settings    fields of `torch._dynamo.config`
errors      `torch._dynamo.exc` as parents of quern's own errors
records     counters, guard failures, hooks, profilers
everything  `quern run --all`: outermost calls of modules
"""
