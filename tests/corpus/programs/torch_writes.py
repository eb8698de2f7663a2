"""In-place operations, writes through views, and how results share memory."""

# ruff: noqa
# mypy: ignore-errors

import torch
import torch.nn.functional as F
from torch_values import on_torch, randn

program = on_torch(__name__)


@program
def write_row(x):
    x[0] = 1.0
    return x


@program
def write_mask(x):
    x[x > 0] = 0.5
    return x * 2


@program
def write_mask_tensor(x, y):
    mask = x > 0
    x[mask] = y[mask]
    return x


@program
def masked_augmented(x):
    x[x < 0] *= -1
    return x


@program
def slice_augmented(x):
    x[:, 1:] += 2
    x[:, ::2] -= x[:, 1::2]
    return x.sum()


@program
def transposed_add(x):
    x.T.add_(torch.arange(3.0))
    return x


@program
def write_element(x, i=1, j=2):
    x[i, j] = 5
    x[-1, -1] += 1
    return x


@program(args=lambda: (randn(3, 4), torch.tensor([0, 2]), torch.tensor([1, 3])))
def index_put(x, i, j):
    x[i, j] = 9.0
    x.index_put_((i,), torch.ones(4), accumulate=True)
    return x


@program(args=lambda: (randn(3, 4), torch.tensor([0, 2, 0])))
def index_family(x, i):
    x.index_add_(0, i, torch.ones(3, 4))
    x.index_fill_(1, i, 3.0)
    y = x.index_copy(0, i[:2], torch.zeros(2, 4))
    return y


@program(args=lambda: (randn(3, 4), torch.randint(0, 3, (3, 4))))
def scatter_family(x, i):
    x.scatter_(0, i, 1.0)
    x.scatter_add_(0, i, torch.ones(3, 4))
    y = torch.zeros(3, 4).scatter_reduce_(0, i, x, reduce="amax")
    return y


@program
def masked_family(x, y):
    x.masked_fill_(x > 0.5, -1)
    y.masked_scatter_(y > 0, torch.arange(12.0))
    return x + y


@program
def copy_and_zero(x, y):
    x.copy_(y)
    y.zero_()
    return x.fill_(3) + y


@program
def copy_broadcast(x, v):
    x.copy_(v)
    x[1].copy_(v * 2)
    return x


@program
def copy_dtype(x):
    i = torch.zeros(3, 4, dtype=torch.int64)
    i.copy_(x * 10)
    return i


@program
def out_argument(x, y):
    out = torch.empty(3, 4)
    torch.add(x, y, out=out)
    torch.mul(x, 2, out=y)
    return out, y


@program
def out_argument_resized(x, y):
    out = torch.empty(0)
    torch.add(x, y, out=out)
    return out


@program
def out_argument_view(x, y):
    big = torch.zeros(5, 4)
    torch.sub(x, y, out=big[1:4])
    return big


@program(args=lambda: (randn(4, 4), randn(4, 4), randn(4, 4)))
def out_matmul(a, b, c):
    torch.matmul(a, b, out=c)  # into an operand would be undefined in eager
    return c


@program
def swap(x, y):
    a, b = x.clone(), y.clone()
    x.copy_(b)
    y.copy_(a)
    return x, y


@program
def tuple_swap_rows(x):
    x[0], x[1] = x[1].clone(), x[0].clone()
    return x


@program
def tuple_swap_rows_aliased(x):
    x[0], x[1] = x[1], x[0]
    return x


@program
def transpose_inplace_input(x):
    x.transpose_(0, 1)
    return x * 2


@program
def unsqueeze_inplace_input(x):
    x.unsqueeze_(1)
    return x.shape, x


@program
def resize_inplace(x):
    y = torch.zeros(2)
    y.resize_(3)
    y.zero_()
    return y + 1


@program(args=lambda: (lambda t: (t, t))(randn(3, 4)))
def same_twice_read(x, y):
    return x + y, x is y


@program(args=lambda: (lambda t: (t, t))(randn(3, 4)))
def same_twice_write(x, y):
    x.add_(1)
    return y * 2, x


@program(args=lambda: (lambda t: (t[:2], t[1:]))(randn(3, 4)))
def overlapping_read(x, y):
    return x + y


@program(args=lambda call: (lambda t: (t, t if call % 2 else t.clone()))(randn(3, 4)), calls=4)
def sometimes_same(x, y):
    x.add_(1)
    return y * 2


@program
def outputs_views_of_input(x):
    return x[1:], x.T, x.view(-1), x[:, ::2], x.unsqueeze(0), x[0], x.expand(2, 3, 4), x.diagonal()


@program
def outputs_views_of_each_other(x):
    y = x + 1
    return y, y[1:], y.T, y.view(2, 6), y[0, 1:]


@program
def output_twice(x):
    y = x * 2
    return y, y, [y], {"y": y}


@program
def view_only_output(x):
    y = x * 2
    return y[1:]


@program
def views_base(x):
    y = x * 2
    v = y[1:]
    return v, v._base is y, v._is_view()


@program
def view_of_input_then_write(x):
    v = x[1:]
    x.add_(1)
    return v, v * 2


@program
def write_then_view(x):
    y = x.clone()
    v = y.view(-1)
    v[2:5] = 0
    w = y[:, 1]
    y.mul_(2)
    return y, v, w


@program
def write_after_read(x):
    a = x * 2
    x.add_(1)
    b = x * 2
    x.add_(1)
    return a, b, x


@program
def reshape_maybe_view(x):
    a = x.reshape(-1)
    b = x.T.reshape(-1)
    a.add_(1)
    b.add_(1)
    return a, b, x


@program
def contiguous_maybe_self(x):
    a = x.contiguous()
    b = x.T.contiguous()
    return a, b, a is x


@program
def to_maybe_self(x):
    return x.to(torch.float32) is x, x.to(torch.float32), x.float(), x.to("cpu"), x.type_as(x), x.clone()


@program
def chained_views(x):
    v = x.view(2, 6).T[1:4].unsqueeze(0).permute(2, 0, 1)
    v.add_(10)
    return v, x


@program(args=lambda: (randn(4).expand(3, 4),))
def expanded_input(x):
    return x + 1, x.sum(0), x[0]


@program(args=lambda: (randn(4).expand(3, 4),))
def expanded_input_write(x):
    x.add_(1)
    return x


@program(args=lambda: (randn(4, 3).T, randn(6, 8)[::2, ::2]))
def strided_inputs(x, y):
    x.mul_(2)
    y[0] = x[0]
    return x + y, x * 2, torch.empty_like(x).stride(), y.contiguous()


@program(args=lambda: (torch.empty(0, 4), torch.tensor(2.0)))
def zero_size_and_zero_dim(x, s):
    s.add_(1)
    x.add_(1)
    return x.sum(), x + s, torch.cat([x, torch.ones(1, 4)]), s


@program(args=lambda: (torch.randn(3, dtype=torch.complex64).conj(),))
def conjugated_input(x):
    return x * 2, x.real, x.imag


@program(args=lambda: (torch.randn(3, dtype=torch.complex64).conj().imag,))
def negative_bit_input(x):
    return x * 2, x.is_neg()


@program(args=lambda: (torch.randn(3, dtype=torch.complex64),))
def complex_views(x):
    y = x.conj()
    r = torch.view_as_real(x)
    return y, y.is_conj(), y.resolve_conj(), r, x.abs(), x.angle()


@program(args=lambda: (torch.randn(3, dtype=torch.complex64),))
def complex_view_write(x):
    x.real.add_(1)
    x.imag[0] = 3
    return x


@program
def split_and_write(x):
    a, b = x.split(2, dim=1)
    a.zero_()
    c = x.chunk(3)
    c[1].add_(5)
    return x, a, b, c


@program
def unbind_and_write(x):
    for i, row in enumerate(x):
        row.add_(i)
    return x


@program
def list_of_writes(x):
    rows = [x[i] for i in range(3)]
    rows[1].mul_(100)
    for r in rows:
        r += 1
    return x, rows


@program
def narrow_write(x):
    x.narrow(1, 1, 2).fill_(3)
    x.select(0, 2).neg_()
    return x


@program
def flip_roll(x):
    x.copy_(x.flip(0))
    return x.roll(1, 0)


@program
def augmented_operators(x, y):
    x += y
    x -= 1
    x *= 2
    x /= 3
    x **= 2
    x //= 0.5
    x %= 3
    return x


@program(args=lambda: (torch.arange(6), torch.arange(6) % 3))
def integer_augmented(x, y):
    x |= y
    x &= 5
    x ^= y
    x <<= 1
    x >>= 1
    x //= 2
    return x


@program(args=lambda: (torch.arange(6),))
def integer_true_divide_inplace(x):
    x /= 2
    return x


@program
def wrong_shape_inplace(v, x):
    v.add_(x)
    return v


@program
def type_promotion_write(x):
    i = torch.arange(4)
    x[0] = i
    i[1:] = x[0, 1:]
    return x, i


@program.maker(state=("CACHE",))
def buffer_cache():
    def fn(x):
        CACHE["kv"][:, 1:2].copy_(x[:, 1:2])
        CACHE["n"] += 1
        return CACHE["kv"] * 2

    return fn


CACHE = {"kv": torch.zeros(3, 4), "n": 0}


class KVCache(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("k", torch.zeros(2, 8, 4))
        self.position = 0

    def forward(self, x):
        n = x.shape[1]
        self.k[:, self.position : self.position + n] = x
        self.position += n
        return self.k[:, : self.position].sum(1)


@program.maker(args=lambda: (randn(2, 2, 4),), calls=4)
def kv_cache():
    return KVCache()


class RunningMean(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, x):
        self.count += 1
        self.mean.lerp_(x.mean(0), 0.1)
        self.mean = self.mean * 2
        return x - self.mean


@program.maker
def running_mean():
    return RunningMean()


@program.maker(args=lambda: (randn(3, 4),))
def batch_norm_training():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))


@program
def where_write(x, y):
    torch.where(x > 0, x, y, out=y)
    x.clamp_(min=0).sqrt_()
    return x.round_(decimals=1), y


@program
def sort_out(x):
    values, indices = torch.sort(x, dim=1)
    x[:] = values
    return indices


@program
def ellipsis_write(batch):
    batch[..., 0] = 1
    batch[:, None, 1] = 2
    batch[0, ..., [1, 2]] = 3
    return batch


@program
def lists_as_index(x):
    return x[[0, 2]], x[:, [1, 1]], x[[0, 1], [2, 3]], x[None], x[..., -1]


@program
def data_ptr_equal(x):
    y = x.view(-1)
    return x.data_ptr() == y.data_ptr(), x + 1


@program
def storage_offset(x):
    return x[1:].storage_offset(), x[1:].stride(), x.is_contiguous(), x.T.is_contiguous(), x + 1
