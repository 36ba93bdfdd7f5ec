// The matrix product beside oneDNN's at the shapes of the zoo's models: the same operands, taking turns, one thread.
// Both get their weights packed beforehand. oneDNN is asked in both of its forms, inner product and matmul; the better
// one counts. Usage: compare [rounds]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <random>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include <dnnl.hpp>

extern "C" {
#include "ck.h"
}

namespace {

enum class Ends { bias, gelu, residual };

struct Shape {
    const char *model;
    size_t rows, k, n;
    Ends ends;
};

// Per model: queries/keys/values, projection, the two halves of the feed-forward network.
const Shape shapes[] = {
    {"RAVLT-T 1", 3136, 64, 256, Ends::bias},     {"RAVLT-T 1", 3136, 64, 64, Ends::residual},
    {"RAVLT-T 1", 3136, 64, 224, Ends::gelu},     {"RAVLT-T 1", 3136, 224, 64, Ends::residual},
    {"RAVLT-T 2", 784, 128, 512, Ends::bias},     {"RAVLT-T 2", 784, 128, 128, Ends::residual},
    {"RAVLT-T 2", 784, 128, 448, Ends::gelu},     {"RAVLT-T 2", 784, 448, 128, Ends::residual},
    {"RAVLT-T 3", 196, 256, 1024, Ends::bias},    {"RAVLT-T 3", 196, 256, 256, Ends::residual},
    {"RAVLT-T 3", 196, 256, 896, Ends::gelu},     {"RAVLT-T 3", 196, 896, 256, Ends::residual},
    {"RAVLT-S 3", 196, 320, 1280, Ends::bias},    {"RAVLT-S 3", 196, 320, 320, Ends::residual},
    {"RAVLT-S 3", 196, 320, 1120, Ends::gelu},    {"RAVLT-S 3", 196, 1120, 320, Ends::residual},
    {"RAVLT-T 4", 49, 512, 2048, Ends::bias},     {"RAVLT-T 4", 49, 512, 512, Ends::residual},
    {"RAVLT-T 4", 49, 512, 1792, Ends::gelu},     {"RAVLT-T 4", 49, 1792, 512, Ends::residual},
    {"RAVLT head", 49, 512, 1024, Ends::bias},    {"DeiT-S", 197, 384, 1152, Ends::bias},
    {"DeiT-S", 197, 384, 384, Ends::residual},    {"DeiT-S", 197, 384, 1536, Ends::gelu},
    {"DeiT-S", 197, 1536, 384, Ends::residual},   {"Swin-T 1", 3136, 96, 288, Ends::bias},
    {"Swin-T 1", 3136, 96, 384, Ends::gelu},      {"Swin-T 1", 3136, 384, 96, Ends::residual},
    {"Swin-T 3", 196, 384, 1536, Ends::gelu},     {"Swin-T 4", 49, 768, 3072, Ends::gelu},
    {"DiT-S/2", 512, 384, 1152, Ends::bias},      {"DiT-S/2", 512, 384, 384, Ends::residual},
    {"DiT-S/2", 512, 384, 1536, Ends::gelu},      {"DiT-S/2", 512, 1536, 384, Ends::residual},
};

// 64-byte aligned floats, filled with noise.
struct Floats {
    float *data;
    explicit Floats(size_t count, float scale = 1) {
        data = static_cast<float *>(std::aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64));
        if (data == nullptr) throw std::bad_alloc();
        static std::mt19937 noise(1);
        std::uniform_real_distribution<float> uniform(-scale, scale);
        for (size_t i = 0; i < count; i++) data[i] = uniform(noise);
    }
    Floats(const Floats &) = delete;
    ~Floats() { std::free(data); }
};

// Processor time, which waits of this thread don't count into.
double seconds() {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

using Run = std::function<void()>;

double time_of(const Run &run, int calls) {
    const double start = seconds();
    for (int i = 0; i < calls; i++) run();
    return (seconds() - start) / calls;
}

dnnl::primitive_attr attributes(Ends ends) {
    dnnl::post_ops post;
    if (ends == Ends::gelu) post.append_eltwise(1, dnnl::algorithm::eltwise_gelu_erf, 0, 0);
    if (ends == Ends::residual) post.append_sum(1);
    dnnl::primitive_attr attr;
    attr.set_post_ops(post);
    return attr;
}

// One of oneDNN's forms of the product, its weights reordered into the layout that it asks for.
Run onednn(const Shape &s, bool matmul, const dnnl::engine &engine, dnnl::stream &stream, float *x, float *weight,
           float *bias, float *out) {
    using dnnl::memory;
    using tag = memory::format_tag;
    const auto f32 = memory::data_type::f32;
    const auto rows = memory::dim(s.rows), k = memory::dim(s.k), n = memory::dim(s.n);
    const memory::desc x_desc({rows, k}, f32, tag::ab), out_desc({rows, n}, f32, tag::ab);
    memory::desc plain, wanted;
    dnnl::primitive primitive;
    if (matmul) {
        plain = memory::desc({k, n}, f32, tag::ba);
        const dnnl::matmul::desc desc(x_desc, memory::desc({k, n}, f32, tag::any),
                                      memory::desc({1, n}, f32, tag::ab), out_desc);
        const dnnl::matmul::primitive_desc pd(desc, attributes(s.ends), engine);
        wanted = pd.weights_desc();
        primitive = dnnl::matmul(pd);
    } else {
        plain = memory::desc({n, k}, f32, tag::ab);
        const dnnl::inner_product_forward::desc desc(dnnl::prop_kind::forward_inference, x_desc,
                                                     memory::desc({n, k}, f32, tag::any),
                                                     memory::desc({n}, f32, tag::a), out_desc);
        const dnnl::inner_product_forward::primitive_desc pd(desc, attributes(s.ends), engine);
        wanted = pd.weights_desc();
        primitive = dnnl::inner_product_forward(pd);
    }
    memory from(plain, engine, weight), packed(wanted, engine);
    dnnl::reorder(from, packed).execute(stream, from, packed);
    stream.wait();
    const memory::desc bias_desc = matmul ? memory::desc({1, n}, f32, tag::ab) : memory::desc({n}, f32, tag::a);
    const std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, memory(x_desc, engine, x)},
                                                       {DNNL_ARG_WEIGHTS, packed},
                                                       {DNNL_ARG_BIAS, memory(bias_desc, engine, bias)},
                                                       {DNNL_ARG_DST, memory(out_desc, engine, out)}};
    return [=, &stream] {
        primitive.execute(stream, arguments);
        stream.wait();
    };
}

double peak(const ck_context &context) {
    double best = 0;
    for (int i = 0; i < 5; i++) {
        double flops = 0;
        const double start = seconds();
        if (ck_roofline_fma_f32(&context, 1 << 20, &flops) != CK_OK) throw std::runtime_error("no roofline");
        best = std::max(best, flops / (seconds() - start));
    }
    return best;
}

const char *name(Ends ends) {
    return ends == Ends::gelu ? "gelu" : ends == Ends::residual ? "residual" : "bias";
}

} // namespace

int main(int count, char **words) {
    const int rounds = count > 1 ? std::atoi(words[1]) : 30;
    if (rounds < 1) return std::fprintf(stderr, "usage: compare [rounds]\n"), 64;
    const ck_context context = {ck_isa_best(), nullptr};
    const double fma = peak(context);
    std::printf("%s, FMA peak %.0f GFLOP/s, one thread, %d rounds, processor time, best (median) GFLOP/s\n\n",
                ck_isa_name(context.isa), fma * 1e-9, rounds);
    std::printf("| model | rows | k | n | ends | zoo | of peak | oneDNN | zoo / oneDNN |\n");
    std::printf("| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(engine);
    int wrong = 0;
    for (const Shape &s : shapes) {
        Floats x(s.rows * s.k), weight(s.n * s.k, 1 / std::sqrt(float(s.k))), bias(s.n), start(s.rows * s.n);
        Floats ours(s.rows * s.n), theirs(s.rows * s.n), packed(ck_gemm_packed_count(s.n, s.k));
        ck_gemm_pack(s.n, s.k, weight.data, s.k, packed.data);
        ck_gemm_args arguments = {};
        arguments.rows = s.rows, arguments.n = s.n, arguments.k = s.k;
        arguments.x = x.data, arguments.x_stride = s.k, arguments.packed = packed.data;
        arguments.out = ours.data, arguments.out_stride = s.n, arguments.epilogue.bias = bias.data;
        if (s.ends == Ends::gelu) arguments.epilogue.activation = CK_ACTIVATION_GELU;
        if (s.ends == Ends::residual) arguments.epilogue.residual = ours.data;
        arguments.epilogue.residual_stride = s.n;
        Floats scratch(ck_gemm_scratch(&context, &arguments) / sizeof(float) + 16);
        const Run zoo = [&] {
            if (ck_gemm_f32(&context, &arguments, scratch.data) != CK_OK) throw std::runtime_error("refused");
        };
        const Run forms[] = {zoo, onednn(s, false, engine, stream, x.data, weight.data, bias.data, theirs.data),
                             onednn(s, true, engine, stream, x.data, weight.data, bias.data, theirs.data)};

        std::copy_n(start.data, s.rows * s.n, ours.data);
        zoo();
        float worst = 0;
        for (int form = 1; form < 3; form++) {
            std::copy_n(start.data, s.rows * s.n, theirs.data);
            forms[form]();
            for (size_t i = 0; i < s.rows * s.n; i++)
                worst = std::max(worst, std::fabs(ours.data[i] - theirs.data[i]));
        }
        const double flops = 2.0 * double(s.rows) * double(s.n) * double(s.k);
        const int calls = std::max(1, int(1e-3 * fma / flops));
        std::vector<double> times[3];
        for (int round = 0; round < rounds; round++)
            for (int form = 0; form < 3; form++) times[form].push_back(time_of(forms[form], calls));
        double best[3], median[3];
        for (int form = 0; form < 3; form++) {
            std::sort(times[form].begin(), times[form].end());
            best[form] = times[form].front(), median[form] = times[form][times[form].size() / 2];
        }
        const int peer = best[1] < best[2] ? 1 : 2;
        std::printf("| %s | %zu | %zu | %zu | %s | %.0f (%.0f) | %.0f %% | %.0f (%.0f) | %.2f |\n", s.model,
                    s.rows, s.k, s.n, name(s.ends), flops / best[0] * 1e-9, flops / median[0] * 1e-9,
                    100 * flops / best[0] / fma, flops / best[peer] * 1e-9, flops / median[peer] * 1e-9,
                    best[peer] / best[0]);
        std::fflush(stdout);
        if (!(worst < 1e-4)) wrong++, std::printf("outputs differ by %g\n", double(worst));
    }
    return wrong > 0;
}
