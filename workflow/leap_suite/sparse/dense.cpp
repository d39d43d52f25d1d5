// Dense products of one token in bfloat16, in the style of kernel.cpp: what that kernel would do without
// a mask. torch's own product takes up to twice as long on CPUs with AVX-512.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <cstdint>
#include <string>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

bool checked(const std::string& instructions);  // in kernel.cpp

namespace {

constexpr int64_t STEP = 64;  // columns
constexpr int64_t GRAIN = 16;  // rows

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) float row_avx2(const uint16_t* w, const float* x, int64_t I) {
  __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                    _mm256_setzero_ps()};
  for (int64_t i = 0; i < I; i += 32) {
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {
      const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w + i + 8 * part));
      const __m256i wide = _mm256_slli_epi32(_mm256_cvtepu16_epi32(values), 16);
      const __m256 inputs = _mm256_loadu_ps(x + i + 8 * part);
      sums[part] = _mm256_fmadd_ps(_mm256_castsi256_ps(wide), inputs, sums[part]);
    }
  }
  float lanes[8], total = 0;
  _mm256_storeu_ps(lanes, _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]),
                                        _mm256_add_ps(sums[2], sums[3])));
  for (const float lane : lanes) total += lane;
  return total;
}

__attribute__((target("avx512f,avx512bf16"))) float row_avx512(const uint16_t* w, const uint16_t* x,
                                                             int64_t I) {
  __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  for (int64_t i = 0; i < I; i += STEP) {
    _mm_prefetch(reinterpret_cast<const char*>(w + i) + 1024, _MM_HINT_T0);
#pragma GCC unroll 2
    for (int part = 0; part < 2; ++part) {
      const __m512i values = _mm512_loadu_si512(w + i + 32 * part);
      const __m512i inputs = _mm512_loadu_si512(x + i + 32 * part);
      sums[part] = _mm512_dpbf16_ps(sums[part], (__m512bh)values, (__m512bh)inputs);
    }
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
}

#else

float row_avx2(const uint16_t*, const float*, int64_t) { return 0; }
float row_avx512(const uint16_t*, const uint16_t*, int64_t) { return 0; }

#endif

// x [1, I] in bfloat16 times the transpose of weight [O, I]: [1, O] in bfloat16, with float32 sums.
at::Tensor dense(const at::Tensor& x, const at::Tensor& weight, const std::string& instructions) {
  for (const at::Tensor& part : {x, weight}) {
    TORCH_CHECK(part.is_cpu() && part.is_contiguous() && part.dim() == 2 &&
                    part.scalar_type() == at::kBFloat16,
                "needs contiguous matrices in bfloat16 on the CPU");
  }
  TORCH_CHECK(x.size(0) == 1 && x.size(1) == weight.size(1) && x.size(1) % STEP == 0,
              "needs one token, and a multiple of ", STEP, " columns");
  const bool wide = checked(instructions);
  const at::Tensor inputs = wide ? x : x.to(at::kFloat);
  const auto* w = static_cast<const uint16_t*>(weight.const_data_ptr());
  const void* tokens = inputs.const_data_ptr();
  const int64_t O = weight.size(0), I = weight.size(1);
  at::Tensor found = at::empty({1, O}, x.options());
  auto* y = found.mutable_data_ptr<at::BFloat16>();
  at::parallel_for(0, O, GRAIN, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      y[row] = wide ? row_avx512(w + row * I, static_cast<const uint16_t*>(tokens), I)
                    : row_avx2(w + row * I, static_cast<const float*>(tokens), I);
    }
  });
  return found;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(bitmask, library) {
  library.def("dense(Tensor x, Tensor weight, str instructions) -> Tensor", &dense);
}
