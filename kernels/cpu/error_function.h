// erf and erfc.
#pragma once
#include "elementary.h"

namespace quern {
namespace vector_math {

// erf x - x on |x| < 0.845, error 2^-56 of erf
template <class V> INLINE V erf_tail(V x) {
  return x * long_poly(x * x, 0.1283791670955126, -0.37612638903184165, 0.11283791670977743, -0.02686617064998087,
                  0.005223977678830143, -0.0008548330452885455, 0.00012055470197526444, -1.492916722574392e-05,
                  1.6519687210309482e-06, -1.6943343499183547e-07, 1.7958089435430194e-08, -1.838240325872863e-09);
}

// erfc a for a > 0.5: exp(-a^2) Q(u) / (1 + 2 a), u = (a - k) / (a + k): Q is smooth up to infinity and nowhere steep (M. Shepherd and
// J. Laframboise, Chebyshev approximation of (1 + 2 x) exp(x^2) erfc x, 1981). What the square, 1 + 2 a, Q and the quotient round off is put back.
template <class V> INLINE V erfc_far(V a) {
  constexpr f64 k = 3.5;
  a = lesser(splat<V>(28), a);  // NaN stays
  V d = fma(a, 2, 1), double_a = d - 1, d_low = (2 * a - double_a) + (1 - (d - double_a)), e = a + k, both = 1 / (d * e);
  V t = e * both, t_low = t * (fma(-d, t, 1) - d_low * t);
  V num = a - k, e_low = a - (e - k), num_low = a - (num + k), part = d * both, u = num * part;
  u = fma(part, fma(-u, e, num) + fma(-u, e_low, num_low), u);
  V slope = long_poly(u, -0.14000918013761943, -0.010555596332218371, 0.09751909515325974, -0.11508959816018675,
                 0.08798315382481996, -0.048823325828024774, 0.01909933094327511, -0.004215019906410102,
                 -0.00030226788683544904, 0.000564384409565998, -0.0001215123596485583, -4.278220514834019e-05,
                 2.426068283463995e-05, 2.3282638036178837e-06, -3.8137648061092984e-06, -4.419729050260782e-08,
                 5.992367582614925e-07, -7.945497349030466e-09, -9.226971938542276e-08, 5.738388569991364e-10,
                 1.0140660491995612e-08);
  constexpr f64 middle = 1.2423492448711544;
  V q = fma(u, slope, middle), q_low = fma(u, slope, middle - q);
  V w = q * t, w_low = fma(q, t, -w) + fma(q, t_low, q_low * t);
  V square = a * a, square_low = fma(a, a, -square);
  V n = fma(square, -0x1.71547652b82fep0, magic<V>) - magic<V>;  // exp(-a^2) = 2^n exp(r + r_low)
  V r_high = fma(n, -0x1.62e42feep-1, -square), rest = fma(n, -0x1.a39ef35793c76p-33, -square_low);
  V r = r_high + rest, r_low = rest - (r - r_high);
  return scale(w + fma(w, r, fma(w, fma(r * r, exp_tail(r), r_low), w_low)), n);
}

// near 0: x + x P(x^2); beyond: 1 - exp(Q(|x|)) with Q a fit of log erfc, error of the whole 2^-27, 2^-56
template <class V> INLINE V erf(V x) {
  V a = abs_float(x), near = lesser(splat<V>(is_f32<V> ? 3.93f : 5.93), a), small, q;
  if constexpr (is_f32<V>) {
    small = fma(x, poly(x * x, 0.12837917f, -0.3761263f, 0.11283626f, -0.026855731f, 0.005192405f, -0.00080497697f,
                        7.99665e-05f), x);
    q = poly(near, -0.0002070089f, -1.1276274f, -0.63726586f, -0.103856206f, 0.02218965f, -0.0030336473f, 0.00019494063f);
  } else {
    small = x + erf_tail(x);
    q = long_poly(near, -3.2691039692184645e-08, -1.1283788163398272, -0.6366214756143234, -0.10276772556952607,
             0.019119600685266056, 0.00021871927119053742, -0.001698773806318191, 0.0005789085836527306,
             -1.1875347325296466e-06, -9.471489341322185e-05, 5.587965897341743e-05, -2.0357432692322044e-05,
             5.403566047576566e-06, -1.0855753506458526e-06, 1.6480724797115421e-07, -1.841209106786887e-08,
             1.431333271113862e-09, -6.921320514151301e-11, 1.5676618581702112e-12);
  }
  V n, r = reduce_ln2(q, n);
  V e = exp_reduced(r) * small_power_of_two(n);
  return (a < (is_f32<V> ? 0.92f : 0.845)) ? small : copysign(1 - e, x);
}

template <class V> INLINE V erfc(V x) {
  if constexpr (is_f32<V>) {
    return in_double(x, [](auto d) { return erfc(d); });
  } else {
    V a = abs_float(x), far = erfc_far(a);
    return (a < 0.58) ? 1 - (x + erf_tail(x)) : (x < 0) ? 2 - far : far;
  }
}

}  // namespace vector_math
}  // namespace quern
