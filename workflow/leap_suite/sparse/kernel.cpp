// Products of a few tokens with matrices that are stored as a bitmask and their kept bfloat16 values.
//
// A matrix [O, I] is stored as leap_suite.sparse.container describes: `mask` [O, W], `starts` [O], `kept`.
// The values end with 64 bytes of padding, so that whole vectors can be loaded. Each weight is read
// once for up to eight tokens, sums are float32, and torch's threads share the rows.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

constexpr int64_t WORD = 64;  // columns of a word of the mask
constexpr int MOST_TOKENS = 8;

struct Matrix {
  const uint8_t* mask;
  const int32_t* starts;
  const uint16_t* kept;
  int64_t rows;
  int64_t words;  // of a row of the mask

  uint64_t bits(int64_t row, int64_t word) const {
    uint64_t found;
    std::memcpy(&found, mask + 8 * (row * words + word), 8);
    return found;
  }
};

// Products of a row with tokens x [N, stride], which are zero beyond I; y [N].
using Row = void (*)(const Matrix&, int64_t row, const void* x, int64_t stride, float* y);

using Unpack = void (*)(const Matrix&, int64_t row, void* dense);

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2,fma,popcnt")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,avx512bf16,popcnt")))

// By byte of a mask, the shuffle that moves its values to the upper halves of eight 32-bit lanes,
// where a bfloat16 is a float32, and zeros to all other bytes.
struct Shuffles {
  alignas(32) uint8_t by_byte[256][32];

  Shuffles() {
    std::memset(by_byte, 0x80, sizeof by_byte);
    for (int byte = 0; byte < 256; ++byte) {
      for (int lane = 0, value = 0; lane < 8; ++lane) {
        if (byte >> lane & 1) {
          by_byte[byte][4 * lane + 2] = 2 * value;
          by_byte[byte][4 * lane + 3] = 2 * value + 1;
          ++value;
        }
      }
    }
  }
};

const Shuffles shuffles;

// In byte i, the number of ones in the bytes below i: no load of values waits for the last one.
inline uint64_t kept_before(uint64_t bits) {
  uint64_t ones = bits - (bits >> 1 & 0x5555555555555555);
  ones = (ones & 0x3333333333333333) + (ones >> 2 & 0x3333333333333333);
  ones = (ones + (ones >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return ones * 0x0101010101010101 << 8;
}

AVX2 float sum(__m256 lanes) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

// The eight weights of a byte of the mask, of which `values` are the kept ones, in float32.
AVX2 inline __m256 expanded(uint8_t byte, const uint16_t* values) {
  const __m128i next = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
  const auto* shuffle = reinterpret_cast<const __m256i*>(shuffles.by_byte[byte]);
  const __m256i twice = _mm256_broadcastsi128_si256(next);
  return _mm256_castsi256_ps(_mm256_shuffle_epi8(twice, _mm256_load_si256(shuffle)));
}

// x is float32.
template <int N>
AVX2 void row_avx2(const Matrix& m, int64_t row, const void* x, int64_t stride, float* y) {
  constexpr int CHAINS = N < 4 ? 4 / N : 1;  // independent sums, which hide the latency of one
  __m256 sums[N][CHAINS];
  for (auto& of_token : sums) std::fill_n(of_token, CHAINS, _mm256_setzero_ps());
  const uint16_t* values = m.kept + m.starts[row];
  for (int64_t word = 0; word < m.words; ++word) {
    const uint64_t bits = m.bits(row, word), before = kept_before(bits);
    const float* columns = static_cast<const float*>(x) + WORD * word;
#pragma GCC unroll 8
    for (int part = 0; part < 8; ++part) {
      const auto kept = static_cast<uint8_t>(before >> (8 * part));
      const __m256 weights = expanded(bits >> (8 * part), values + kept);
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const __m256 inputs = _mm256_loadu_ps(columns + n * stride + 8 * part);
        __m256& chain = sums[n][part % CHAINS];
        chain = _mm256_fmadd_ps(weights, inputs, chain);
      }
    }
    values += _mm_popcnt_u64(bits);
  }
  for (int n = 0; n < N; ++n) {
    for (int chain = 1; chain < CHAINS; ++chain) {
      sums[n][0] = _mm256_add_ps(sums[n][0], sums[n][chain]);
    }
    y[n] = sum(sums[n][0]);
  }
}

// x is bfloat16.
template <int N>
AVX512 void row_avx512(const Matrix& m, int64_t row, const void* x, int64_t stride, float* y) {
  constexpr int CHAINS = N < 2 ? 2 : 1;
  __m512 sums[N][CHAINS];
  for (auto& of_token : sums) std::fill_n(of_token, CHAINS, _mm512_setzero_ps());
  const uint16_t* values = m.kept + m.starts[row];
  for (int64_t word = 0; word < m.words; ++word) {
    const uint64_t bits = m.bits(row, word);
    const uint16_t* columns = static_cast<const uint16_t*>(x) + WORD * word;
    _mm_prefetch(reinterpret_cast<const char*>(values) + 1024, _MM_HINT_T0);
#pragma GCC unroll 2
    for (int part = 0; part < 2; ++part) {
      const auto half = static_cast<uint32_t>(bits >> (32 * part));
      const __m512i moved = _mm512_maskz_expand_epi16(half, _mm512_loadu_si512(values));
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) {
        const __m512i inputs = _mm512_loadu_si512(columns + n * stride + 32 * part);
        __m512& chain = sums[n][part % CHAINS];
        chain = _mm512_dpbf16_ps(chain, (__m512bh)moved, (__m512bh)inputs);
      }
      values += _mm_popcnt_u32(half);
    }
  }
  for (int n = 0; n < N; ++n) {
    for (int chain = 1; chain < CHAINS; ++chain) {
      sums[n][0] = _mm512_add_ps(sums[n][0], sums[n][chain]);
    }
    y[n] = _mm512_reduce_add_ps(sums[n][0]);
  }
}

// Write a row of the dense matrix: in float32 here, and in bfloat16 below.
AVX2 void unpack_avx2(const Matrix& m, int64_t row, void* dense) {
  const uint16_t* values = m.kept + m.starts[row];
  for (int64_t word = 0; word < m.words; ++word) {
    const uint64_t bits = m.bits(row, word), before = kept_before(bits);
    for (int part = 0; part < 8; ++part) {
      const auto kept = static_cast<uint8_t>(before >> (8 * part));
      float* columns = static_cast<float*>(dense) + WORD * word + 8 * part;
      _mm256_storeu_ps(columns, expanded(bits >> (8 * part), values + kept));
    }
    values += _mm_popcnt_u64(bits);
  }
}

AVX512 void unpack_avx512(const Matrix& m, int64_t row, void* dense) {
  const uint16_t* values = m.kept + m.starts[row];
  for (int64_t word = 0; word < m.words; ++word) {
    const uint64_t bits = m.bits(row, word);
    for (int part = 0; part < 2; ++part) {
      const auto half = static_cast<uint32_t>(bits >> (32 * part));
      const __m512i weights = _mm512_maskz_expand_epi16(half, _mm512_loadu_si512(values));
      _mm512_storeu_si512(static_cast<uint16_t*>(dense) + WORD * word + 32 * part, weights);
      values += _mm_popcnt_u32(half);
    }
  }
}

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool has_avx512() {
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2") &&
         __builtin_cpu_supports("avx512bf16");
}

// For up to 1, 2, 4 and 8 tokens.
const Row AVX2_ROWS[] = {row_avx2<1>, row_avx2<2>, row_avx2<4>, row_avx2<8>};
const Row AVX512_ROWS[] = {row_avx512<1>, row_avx512<2>, row_avx512<4>, row_avx512<8>};
const Unpack UNPACK_AVX2 = unpack_avx2;
const Unpack UNPACK_AVX512 = unpack_avx512;

#else

bool has_avx2() { return false; }
bool has_avx512() { return false; }
const Row* const AVX2_ROWS = nullptr;
const Row* const AVX512_ROWS = nullptr;
const Unpack UNPACK_AVX2 = nullptr;
const Unpack UNPACK_AVX512 = nullptr;

#endif

// Fewer weights than this are not worth a second thread.
constexpr int64_t GRAIN = 1 << 18;

// Products by rows, shared by torch's threads.
template <typename Rows>
void in_parallel(const Matrix& m, const Rows& rows) {
  at::parallel_for(0, m.rows, 1 + GRAIN / (WORD * m.words), rows);
}

// The best instructions of this CPU that the kernels can use: avx512_bf16, avx2, or none.
std::string instructions() { return has_avx512() ? "avx512_bf16" : has_avx2() ? "avx2" : ""; }

Matrix matrix(const at::Tensor& mask, const at::Tensor& starts, const at::Tensor& kept) {
  for (const at::Tensor& part : {mask, starts, kept}) {
    TORCH_CHECK(part.is_cpu() && part.is_contiguous(), "needs contiguous tensors on the CPU");
  }
  TORCH_CHECK(mask.dim() == 2 && mask.size(1) % 8 == 0 && mask.scalar_type() == at::kByte &&
                  starts.numel() == mask.size(0) && starts.scalar_type() == at::kInt &&
                  kept.scalar_type() == at::kBFloat16,
              "mask, starts and kept are not those of a packed matrix");
  return {mask.const_data_ptr<uint8_t>(), starts.const_data_ptr<int32_t>(),
          reinterpret_cast<const uint16_t*>(kept.const_data_ptr()), mask.size(0), mask.size(1) / 8};
}

}  // namespace

// Whether these are AVX-512, and not AVX2; an error where this CPU has neither. Also for dense.cpp.
bool checked(const std::string& instructions_) {
  const bool wide = instructions_ == "avx512_bf16";
  TORCH_CHECK(wide ? has_avx512() : instructions_ == "avx2" && has_avx2(),
              "this CPU has no ", instructions_);
  return wide;
}

namespace {

// x [N, I] in bfloat16 times the matrix' transpose: [N, O] in bfloat16.
at::Tensor linear(const at::Tensor& x, const at::Tensor& mask, const at::Tensor& starts,
                  const at::Tensor& kept, const std::string& instructions_) {
  const Matrix m = matrix(mask, starts, kept);
  const bool wide = checked(instructions_);
  const int64_t tokens = x.size(0), stride = WORD * m.words;
  TORCH_CHECK(x.dim() == 2 && x.is_cpu() && x.scalar_type() == at::kBFloat16 &&
                  x.size(1) <= stride && x.size(1) > stride - WORD,
              "x is not [N, I] in bfloat16");
  const int size = tokens > 4 ? 3 : tokens > 2 ? 2 : tokens > 1 ? 1 : 0, group = 1 << size;
  const int64_t padded = (tokens + group - 1) / group * group;
  const at::Tensor inputs =
      at::constant_pad_nd(x.to(wide ? at::kBFloat16 : at::kFloat),
                          {0, stride - x.size(1), 0, padded - tokens}).contiguous();
  const auto* bytes = static_cast<const char*>(inputs.const_data_ptr());
  const Row row_of = (wide ? AVX512_ROWS : AVX2_ROWS)[size];
  at::Tensor found = at::empty({tokens, m.rows}, x.options());
  auto* y = found.mutable_data_ptr<at::BFloat16>();
  in_parallel(m, [&](int64_t begin, int64_t end) {
    float products[MOST_TOKENS];
    for (int64_t first = 0; first < tokens; first += group) {
      const void* at = bytes + first * stride * inputs.element_size();
      for (int64_t row = begin; row < end; ++row) {
        row_of(m, row, at, stride, products);
        for (int64_t n = first; n < std::min(first + group, tokens); ++n) {
          y[n * m.rows + row] = products[n - first];
        }
      }
    }
  });
  return found;
}

// The dense matrix [O, 64 * words], zero beyond I: in bfloat16, or for AVX2 in float32, which is what
// CPUs without bfloat16 multiply faster.
at::Tensor unpack(const at::Tensor& mask, const at::Tensor& starts, const at::Tensor& kept,
                  const std::string& instructions_) {
  const Matrix m = matrix(mask, starts, kept);
  const bool wide = checked(instructions_);
  const auto options = kept.options().dtype(wide ? at::kBFloat16 : at::kFloat);
  at::Tensor found = at::empty({m.rows, WORD * m.words}, options);
  auto* bytes = static_cast<char*>(found.mutable_data_ptr());
  const int64_t row_bytes = WORD * m.words * found.element_size();
  const Unpack unpack_row = wide ? UNPACK_AVX512 : UNPACK_AVX2;
  in_parallel(m, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) unpack_row(m, row, bytes + row * row_bytes);
  });
  return found;
}

}  // namespace

TORCH_LIBRARY(bitmask, library) {
  library.def("instructions() -> str", &instructions);
  library.def("linear(Tensor x, Tensor mask, Tensor starts, Tensor kept, str instructions) -> Tensor",
              &linear);
  library.def("unpack(Tensor mask, Tensor starts, Tensor kept, str instructions) -> Tensor", &unpack);
}
