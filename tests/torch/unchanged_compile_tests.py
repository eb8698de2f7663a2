"""Tests as users of torch.compile write them: they know nothing of quern. `tests/test_run.py` runs them under `quern run`, and
under `python`, where they test torch itself.
"""

# mypy: ignore-errors

import contextlib
import copy
import inspect
import io
import os
import tempfile
import unittest
from unittest.mock import patch

import torch
import torch._dynamo
import torch._dynamo.testing
from torch._dynamo.testing import CompileCounter, CompileCounterWithBackend
from torch._dynamo.utils import counters


class ToyModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(10, 10)
        self.relu = torch.nn.ReLU()

    def forward(self, x):
        return self.relu(self.linear(x))


class CompiledTestCase(unittest.TestCase):
    def setUp(self):
        torch._dynamo.reset()
        counters.clear()
        exits = contextlib.ExitStack()
        exits.enter_context(torch._dynamo.config.patch(suppress_errors=False))
        self.addCleanup(exits.close)

    def tearDown(self):
        torch._dynamo.reset()


class InPlaceCompilation(CompiledTestCase):
    def test_compiles_once(self):
        model = ToyModel()
        counter = CompileCounter()
        model.compile(backend=counter)
        x = torch.randn(10, 10)
        expected = ToyModel.forward(model, x)
        for _ in range(3):
            torch.testing.assert_close(model(x), expected)
        self.assertEqual(counter.frame_count, 1)
        self.assertEqual(counter.op_count, 2)

    def test_call_is_replaced(self):
        model = ToyModel()
        self.assertIsNone(model._compiled_call_impl)
        model.compile()
        self.assertIsNotNone(model._compiled_call_impl)

    def test_every_shape_of_argument(self):
        model = ToyModel()
        counter = CompileCounter()
        model.compile(backend=counter, dynamic=False)
        for rows in (2, 3, 2, 3):
            model(torch.randn(rows, 10))
        self.assertEqual(counter.frame_count, 2)

    def test_save_and_load(self):
        model = ToyModel()
        model.compile()
        x = torch.randn(1, 10)
        expected = model(x)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.pt")
            torch.save(model, path)
            loaded = torch.load(path, weights_only=False)
        torch.testing.assert_close(loaded(x), expected)
        self.assertIsNone(loaded._compiled_call_impl)

    def test_state_dict(self):
        model = ToyModel()
        model.compile()
        x = torch.randn(1, 10)
        expected = model(x)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.pt")
            torch.save(model.state_dict(), path)
            loaded = ToyModel()
            loaded.load_state_dict(torch.load(path))
        torch.testing.assert_close(loaded(x), expected)
        loaded.compile()
        torch.testing.assert_close(loaded(x), expected)

    def test_scripted(self):
        model = ToyModel()
        model.compile()
        x = torch.randn(1, 10)
        expected = model(x)
        scripted = torch.jit.script(model)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.pt")
            torch.jit.save(scripted, path)
            loaded = torch.jit.load(path)
        torch.testing.assert_close(loaded(x), expected)

    def test_copied(self):
        model = ToyModel()
        model.compile(backend="eager")
        x = torch.randn(1, 10)
        torch.testing.assert_close(copy.deepcopy(model)(x), model(x))

    def test_trained(self):
        model = ToyModel()
        plain = copy.deepcopy(model)
        model.compile(backend="eager")
        for m in (model, plain):
            m(torch.ones(2, 10)).sum().backward()
        torch.testing.assert_close(model.linear.weight.grad, plain.linear.weight.grad)


class Callbacks(CompiledTestCase):
    def test_around_a_module(self):
        @torch._dynamo.on_compile_start
        def started(*args):
            print("started")

        @torch._dynamo.on_compile_end
        def ended(*args):
            print("ended")

        model = ToyModel()
        compiled = torch.compile(backend="eager", fullgraph=True)(model)
        output = io.StringIO()
        with patch("sys.stdout", output):
            compiled(torch.randn(10, 10))
            compiled(torch.randn(10, 10))
        self.assertEqual(output.getvalue(), "started\nended\n")

    def test_around_a_graph_break(self):
        count = 0

        @torch._dynamo.on_compile_start
        def started(*args):
            nonlocal count
            count += 1

        @torch._dynamo.on_compile_end
        def ended(*args):
            nonlocal count
            count += 1

        @torch.compile(backend="eager")
        def f(x):
            x = x + 1
            torch._dynamo.graph_break()
            return torch.sin(x)

        x = torch.randn(10, 10)
        torch.testing.assert_close(f(x), torch.sin(x + 1))
        self.assertEqual(count, 4)

    def test_removed(self):
        seen = []
        handler = torch._dynamo.callback.callback_handler
        note = handler.register_start_callback(seen.append)
        torch.compile(torch.sin, backend="eager")(torch.ones(2))
        handler.remove_start_callback(note)
        torch.compile(torch.cos, backend="eager")(torch.ones(2))
        self.assertEqual(len(seen), 1)
        self.assertIsInstance(seen[0], torch._dynamo.callback.CallbackArgs)


class Frames(CompiledTestCase):
    def test_breaks_and_counters(self):
        counter = CompileCounter()

        @torch.compile(backend=counter)
        def f(x):
            x = x.sin()
            torch._dynamo.graph_break()
            return x.cos() + 1

        f(torch.ones(3))
        self.assertEqual((counter.frame_count, counter.op_count), (2, 3))
        self.assertEqual(counters["stats"]["unique_graphs"], 2)
        self.assertEqual(len(counters["graph_break"]), 1)

    def test_a_graph_of_the_backends(self):
        counter = CompileCounterWithBackend("eager")
        f = torch.compile(lambda x: torch.relu(x) * 2, backend=counter, fullgraph=True)
        f(torch.ones(3))
        targets = [n.target for n in counter.graphs[0].graph.nodes if n.op == "call_function"]
        self.assertEqual(targets[0], torch.relu)
        self.assertIsInstance(counter.graphs[0], torch.fx.GraphModule)

    def test_inductor_behind_a_counter(self):
        counter = CompileCounterWithBackend("inductor")
        f = torch.compile(lambda x: torch.relu(x) * 2, backend=counter, fullgraph=True)
        torch.testing.assert_close(f(torch.ones(3)), torch.full((3,), 2.0))
        self.assertEqual(counter.frame_count, 1)

    def test_marked_dims(self):
        counter = CompileCounter()
        f = torch.compile(lambda x: x * 2, backend=counter, fullgraph=True)
        x = torch.ones(4, 3)
        torch._dynamo.mark_dynamic(x, 0)
        f(x)
        f(torch.ones(7, 3))
        self.assertEqual(counter.frame_count, 1)

    def test_older_entry_points(self):
        counter = CompileCounter()
        f = torch._dynamo.optimize(counter, nopython=True)(lambda x: x.sin() + 1)
        g = torch._dynamo.optimize_assert(counter)(lambda x: x.cos() + 1)
        f(torch.ones(2)), g(torch.ones(2))
        self.assertEqual(counter.frame_count, 2)

    def test_explained(self):
        def f(x):
            x = x + 1
            torch._dynamo.graph_break()
            return x * 2

        found = torch._dynamo.explain(f)(torch.ones(2))
        self.assertEqual((found.graph_count, found.graph_break_count, found.op_count), (2, 1, 2))

    def test_standard(self):
        torch._dynamo.testing.standard_test(self, lambda a, b: (a + b) * b, nargs=2, expected_ops=2)


class Refusals(CompiledTestCase):
    def test_break_in_a_full_graph(self):
        def f(x):
            torch._dynamo.graph_break()
            return x + 1

        with self.assertRaises(torch._dynamo.exc.Unsupported):
            torch.compile(f, backend="eager", fullgraph=True)(torch.ones(2))

    def test_backend_that_raises(self):
        def backend(gm, example_inputs):
            raise NotImplementedError("not for me")

        with self.assertRaisesRegex(torch._dynamo.exc.BackendCompilerFailed, "not for me"):
            torch.compile(lambda x: x + 1, backend=backend)(torch.ones(2))

    def test_unknown_backend(self):
        with self.assertRaises(torch._dynamo.exc.InvalidBackend):
            torch.compile(lambda x: x + 1, backend="no_such_backend")(torch.ones(2))

    def test_recompilation_under_a_stance(self):
        f = torch.compile(lambda x: x + 1, backend="eager", dynamic=False)
        f(torch.ones(2))
        with torch.compiler.set_stance("fail_on_recompile"):
            f(torch.ones(2))
            with self.assertRaises(RuntimeError):
                f(torch.ones(3))

    @torch._dynamo.config.patch(error_on_recompile=True)
    def test_recompilation_as_an_error(self):
        f = torch.compile(lambda x: x + 1, backend="eager", dynamic=False)
        f(torch.ones(2))
        with self.assertRaises(torch._dynamo.exc.RecompileError):
            f(torch.ones(3))


class Names(CompiledTestCase):
    def check(self, name):
        public = inspect.signature(getattr(torch.compiler, name))
        private = inspect.signature(getattr(torch._dynamo, name))
        fewer = len(public.parameters) < len(private.parameters)
        begins_alike = all(a == b for a, b in zip(public.parameters.items(), private.parameters.items()))
        self.assertTrue(public == private or fewer and begins_alike, f"{name}: public {public}, private {private}")

    def test_signatures(self):
        for name in ("reset", "allow_in_graph", "list_backends", "assume_constant_result", "disable"):
            self.check(name)

    def test_marks(self):
        @torch.compiler.disable
        def alone(x):
            return x * 3

        counter = CompileCounter()
        f = torch.compile(lambda x: alone(x + 1) - 1, backend=counter)
        torch.testing.assert_close(f(torch.ones(2)), torch.full((2,), 5.0))
        self.assertEqual(counter.frame_count, 2)
        self.assertIn("inductor", torch.compiler.list_backends())
        self.assertEqual(torch.compiler.list_backends(), torch._dynamo.list_backends())


if __name__ == "__main__":
    unittest.main()
