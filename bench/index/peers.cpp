/* The peers of the index benchmark: hnswlib and faiss, from C++, for calls through Python's bindings
 * cost microseconds and a filter written in Python much more. index.py builds and drives it.
 *
 *     index_peers BASE CONTENDER        hnswlib, flat, ivfflat, hnswsq8, ivfpq4
 *
 * BASE holds float16 vectors (int32 count, int32 width, values). One command a line, one line of
 * JSON as the answer, the same as of bench/index.c:
 *
 *     build THREADS ROWS                      {"seconds": s, "bytes": n}
 *     churn REMOVED ADDED                     {"seconds": s}   hnswlib only
 *     search SETTING K COUNT QUERIES FILTER KIND   {"us": [...], "cpu": s, "ids": [...]}
 *
 * ROWS, REMOVED, ADDED and FILTER are files of one bit a row, or "-" for all. SETTING is ef, nprobe, or
 * "nprobe:f" (ivfpq4: f k of the best are scored exactly); flat has none. The KIND of query says
 * nothing to a peer. One thread searches.
 *
 * Debian's hnswlib (0.6.2) has no filter. Graph::search below is its search with the filter of 0.7
 * (which rows may enter the answer; the walk itself goes through all), as a template: the test is
 * inlined, where the later version's functor is a virtual call. */
#include <fcntl.h>
#include <immintrin.h>
#include <omp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <hnswlib/hnswlib.h>

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQFastScan.h>
#include <faiss/IndexRefine.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/impl/IDSelector.h>

namespace {

enum { M = 16, EF_CONSTRUCTION = 200, WARM_UP = 32, BLOCK = 8192 };

double seconds_now() {
    auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
}

double cpu_seconds() { /* of this thread */
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return double(t.tv_sec) + double(t.tv_nsec) / 1e9;
}

/* ---- files ------------------------------------------------------------------------------ */

void normalize(float *v, size_t n) {
    double length = std::sqrt(std::inner_product(v, v + n, v, 0.0));
    for (size_t i = 0; i < n; i++)
        v[i] = float(v[i] / length);
}

/* Read as it is asked for: a million rows are 2 GB in float32. */
class Base {
public:
    size_t n, dim;

    explicit Base(const std::string &path) {
        int file = open(path.c_str(), O_RDONLY);
        struct stat about;
        if (file < 0 || fstat(file, &about) != 0)
            throw std::runtime_error(path + " cannot be read");
        size_t size = size_t(about.st_size);
        void *at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
        close(file);
        if (at == MAP_FAILED || size < 8)
            throw std::runtime_error(path + " cannot be mapped");
        const int32_t *shape = static_cast<const int32_t *>(at);
        n = size_t(shape[0]);
        dim = size_t(shape[1]);
        values_ = reinterpret_cast<const uint16_t *>(shape + 2);
        if (size != 8 + n * dim * 2)
            throw std::runtime_error(path + ": its size is not that of its shape");
    }

    void row(size_t i, float *out) const {
        for (size_t j = 0; j < dim; j++)
            out[j] = _cvtsh_ss(values_[i * dim + j]);
        normalize(out, dim);
    }

private:
    const uint16_t *values_;
};

std::vector<char> read_whole(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw std::runtime_error(path + " cannot be read");
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<float> read_queries(const std::string &path, size_t dim) {
    std::vector<char> bytes = read_whole(path);
    int32_t shape[2] = {0, 0};
    if (bytes.size() >= sizeof shape)
        memcpy(shape, bytes.data(), sizeof shape);
    std::vector<float> out(size_t(shape[0]) * dim);
    if (size_t(shape[1]) != dim || bytes.size() != sizeof shape + out.size() * sizeof(float))
        throw std::runtime_error(path + ": not queries of this width");
    memcpy(out.data(), bytes.data() + sizeof shape, out.size() * sizeof(float));
    for (size_t i = 0; i < out.size(); i += dim)
        normalize(&out[i], dim);
    return out;
}

/* One bit a row. */
class Bits {
public:
    bool all = true;
    std::vector<char> bytes;

    Bits(const std::string &path, size_t n) {
        if (path == "-")
            return;
        all = false;
        bytes = read_whole(path);
        if (bytes.size() < (n + 7) / 8)
            throw std::runtime_error(path + ": fewer bits than rows");
    }

    bool has(size_t i) const { return all || ((bytes[i >> 3] >> (i & 7)) & 1); }

    std::vector<size_t> rows(size_t n) const {
        std::vector<size_t> out;
        for (size_t i = 0; i < n; i++)
            if (has(i))
                out.push_back(i);
        return out;
    }
};

/* ---- contenders ------------------------------------------------------------------------- */

class Contender {
public:
    virtual ~Contender() = default;
    virtual void build(const Base &base, const std::vector<size_t> &rows, int threads) = 0;
    virtual size_t bytes() const = 0;
    virtual void set(int setting, int refined) = 0;
    virtual void prepare(const Bits &filter, size_t n) = 0; /* outside of what is timed */
    virtual void search(const float *query, size_t k, int64_t *ids) const = 0;
    virtual void churn(const Base &, const std::vector<size_t> &, const std::vector<size_t> &) {
        throw std::runtime_error("this contender does not change");
    }
};

class Graph : public hnswlib::HierarchicalNSW<float> {
public:
    using hnswlib::HierarchicalNSW<float>::HierarchicalNSW;
    using Candidates = std::priority_queue<std::pair<float, hnswlib::tableint>,
                                           std::vector<std::pair<float, hnswlib::tableint>>,
                                           CompareByFirst>;

    /* As searchKnn; only rows of the filter enter the answer. */
    template <typename Passes>
    Candidates search(const float *query, size_t k, const Passes &passes) const {
        Candidates top = search_base(descend(query), query, std::max(ef_, k), passes);
        while (top.size() > k)
            top.pop();
        return top;
    }

    /* What is kept to search: vectors, links and labels. Not counted, so that the comparison is
     * no worse for it: locks, and the table from labels to rows. */
    size_t bytes() const {
        size_t sum = cur_element_count * (size_data_per_element_ + sizeof(void *));
        for (size_t i = 0; i < cur_element_count; i++)
            sum += size_t(element_levels_[i]) * size_links_per_element_;
        return sum;
    }

private:
    hnswlib::tableint descend(const float *query) const {
        hnswlib::tableint at = enterpoint_node_;
        float best = fstdistfunc_(query, getDataByInternalId(at), dist_func_param_);
        for (int level = maxlevel_; level > 0; level--) {
            for (bool changed = true; changed;) {
                changed = false;
                hnswlib::linklistsizeint *links = get_linklist(at, level);
                size_t n = getListCount(links);
                const hnswlib::tableint *next = links + 1;
                for (size_t i = 0; i < n; i++) {
                    float d = fstdistfunc_(query, getDataByInternalId(next[i]), dist_func_param_);
                    if (d < best) {
                        best = d;
                        at = next[i];
                        changed = true;
                    }
                }
            }
        }
        return at;
    }

    template <typename Passes>
    Candidates search_base(hnswlib::tableint entry, const float *query, size_t ef,
                           const Passes &passes) const {
        hnswlib::VisitedList *list = visited_list_pool_->getFreeVisitedList();
        hnswlib::vl_type *visited = list->mass, tag = list->curV;
        auto allowed = [&](hnswlib::tableint id) {
            return !isMarkedDeleted(id) && passes(getExternalLabel(id));
        };
        Candidates top, open;
        float bound = fstdistfunc_(query, getDataByInternalId(entry), dist_func_param_);
        open.emplace(-bound, entry);
        if (allowed(entry))
            top.emplace(bound, entry);
        else
            bound = std::numeric_limits<float>::max();
        visited[entry] = tag;
        while (!open.empty()) {
            auto [score, at] = open.top();
            if (-score > bound && top.size() == ef)
                break;
            open.pop();
            const int *links = reinterpret_cast<const int *>(get_linklist0(at));
            size_t n = getListCount(get_linklist0(at));
            prefetch(visited, links[1]);
            for (size_t j = 1; j <= n; j++) {
                hnswlib::tableint id = hnswlib::tableint(links[j]);
                if (j < n)
                    prefetch(visited, links[j + 1]);
                if (visited[id] == tag)
                    continue;
                visited[id] = tag;
                float d = fstdistfunc_(query, getDataByInternalId(id), dist_func_param_);
                if (top.size() >= ef && bound <= d)
                    continue;
                open.emplace(-d, id);
                _mm_prefetch(data_level0_memory_ + open.top().second * size_data_per_element_,
                             _MM_HINT_T0);
                if (allowed(id))
                    top.emplace(d, id);
                if (top.size() > ef)
                    top.pop();
                if (!top.empty())
                    bound = top.top().first;
            }
        }
        visited_list_pool_->releaseVisitedList(list);
        return top;
    }

    void prefetch(const hnswlib::vl_type *visited, int id) const {
        _mm_prefetch(reinterpret_cast<const char *>(visited + id), _MM_HINT_T0);
        _mm_prefetch(data_level0_memory_ + size_t(id) * size_data_per_element_ + offsetData_,
                     _MM_HINT_T0);
    }
};

class Hnswlib : public Contender {
public:
    void build(const Base &base, const std::vector<size_t> &rows, int threads) override {
        space_ = std::make_unique<hnswlib::InnerProductSpace>(base.dim);
        graph_ = std::make_unique<Graph>(space_.get(), base.n, size_t(M), size_t(EF_CONSTRUCTION));
        add(base, rows, threads);
    }

    size_t bytes() const override { return graph_->bytes(); }
    void set(int ef, int) override { graph_->setEf(size_t(ef)); }
    void prepare(const Bits &filter, size_t) override { filter_ = &filter; }

    /* Without a filter it is hnswlib's own search. */
    void search(const float *query, size_t k, int64_t *ids) const override {
        std::fill(ids, ids + k, -1);
        if (filter_->all) {
            auto found = graph_->searchKnn(query, k);
            for (; !found.empty(); found.pop())
                ids[found.size() - 1] = int64_t(found.top().second);
            return;
        }
        const char *bits = filter_->bytes.data();
        auto passes = [bits](size_t i) { return ((bits[i >> 3] >> (i & 7)) & 1) != 0; };
        auto found = graph_->search(query, k, passes);
        for (; !found.empty(); found.pop())
            ids[found.size() - 1] = int64_t(graph_->getExternalLabel(found.top().second));
    }

    void churn(const Base &base, const std::vector<size_t> &removed,
               const std::vector<size_t> &added) override {
        for (size_t row : removed)
            graph_->markDelete(row);
        add(base, added, 1);
    }

private:
    std::unique_ptr<hnswlib::InnerProductSpace> space_;
    std::unique_ptr<Graph> graph_;
    const Bits *filter_ = nullptr;

    void add(const Base &base, const std::vector<size_t> &rows, int threads) {
        std::atomic<size_t> next{0};
        auto work = [&](size_t most) {
            std::vector<float> v(base.dim);
            for (size_t i; most-- > 0 && (i = next++) < rows.size();) {
                base.row(rows[i], v.data());
                graph_->addPoint(v.data(), rows[i]);
            }
        };
        work(1); /* the first enters alone: the others start from it */
        std::vector<std::thread> others;
        for (int t = 1; t < threads; t++)
            others.emplace_back(work, rows.size());
        work(rows.size());
        for (std::thread &t : others)
            t.join();
    }
};

class Faiss : public Contender {
public:
    explicit Faiss(const std::string &name) : name_(name) {}

    void build(const Base &base, const std::vector<size_t> &rows, int threads) override {
        omp_set_num_threads(threads);
        rows_ = rows;
        make(base.dim, rows.size());
        if (!index_->is_trained) {
            std::vector<float> rows_to_learn = sample(base);
            index_->train(faiss::Index::idx_t(rows_to_learn.size() / base.dim), rows_to_learn.data());
        }
        std::vector<float> block(size_t(BLOCK) * base.dim);
        for (size_t i = 0; i < rows.size(); i += BLOCK) {
            size_t n = std::min(size_t(BLOCK), rows.size() - i);
            for (size_t j = 0; j < n; j++)
                base.row(rows[i + j], &block[j * base.dim]);
            index_->add(faiss::Index::idx_t(n), block.data());
        }
        omp_set_num_threads(1);
    }

    size_t bytes() const override {
        size_t n = rows_.size(), d = size_t(index_->d), vectors = n * d * sizeof(float);
        if (name_ == "flat")
            return vectors;
        if (auto *graph = dynamic_cast<faiss::IndexHNSW *>(index_.get())) {
            const faiss::HNSW &h = graph->hnsw;
            return n * d + h.neighbors.size() * sizeof(h.neighbors[0]) +
                   h.offsets.size() * sizeof(h.offsets[0]) + h.levels.size() * sizeof(h.levels[0]);
        }
        size_t lists = ivf_->nlist * d * sizeof(float) + n * sizeof(faiss::Index::idx_t);
        return vectors + lists + (name_ == "ivfpq4" ? n * d / 4 : 0); /* 4 bits for two dimensions */
    }

    void set(int setting, int refined) override {
        if (refined_)
            refined_->k_factor = float(refined);
        if (ivf_)
            ivf_->nprobe = size_t(setting);
        else if (auto *graph = dynamic_cast<faiss::IndexHNSW *>(index_.get()))
            graph->hnsw.efSearch = setting;
    }

    /* The filter by faiss's own numbers, which count the rows that were added. */
    void prepare(const Bits &filter, size_t) override {
        selector_.reset();
        if (filter.all)
            return;
        if (name_ != "flat" && name_ != "ivfflat")
            throw std::runtime_error(name_ + " is not asked with a filter");
        mask_.assign((rows_.size() + 7) / 8, 0);
        for (size_t i = 0; i < rows_.size(); i++)
            mask_[i >> 3] |= uint8_t(filter.has(rows_[i]) << (i & 7));
        selector_ = std::make_unique<faiss::IDSelectorBitmap>(rows_.size(), mask_.data());
    }

    void search(const float *query, size_t k, int64_t *ids) const override {
        std::vector<float> scores(k);
        faiss::SearchParametersIVF lists;
        faiss::SearchParameters plain;
        faiss::SearchParameters *how = nullptr;
        if (selector_) {
            how = ivf_ ? &lists : &plain;
            how->sel = selector_.get();
            lists.nprobe = ivf_ ? ivf_->nprobe : 1;
        }
        index_->search(1, query, faiss::Index::idx_t(k), scores.data(), ids, how);
        for (size_t i = 0; i < k; i++)
            ids[i] = ids[i] < 0 ? -1 : int64_t(rows_[size_t(ids[i])]);
    }

private:
    std::string name_;
    std::vector<size_t> rows_;
    std::vector<uint8_t> mask_;
    std::unique_ptr<faiss::IDSelectorBitmap> selector_;
    std::unique_ptr<faiss::Index> quantizer_, coded_, index_;
    faiss::IndexIVF *ivf_ = nullptr;
    faiss::IndexRefine *refined_ = nullptr;

    void make(size_t dim, size_t n) {
        auto metric = faiss::METRIC_INNER_PRODUCT;
        int d = int(dim);
        size_t lists = 1;
        while (lists * lists < 16 * n)
            lists *= 2; /* 4 to 8 sqrt(n), as faiss's guidelines say */
        if (name_ == "flat") {
            index_ = std::make_unique<faiss::IndexFlatIP>(d);
        } else if (name_ == "hnswsq8") {
            auto kind = faiss::ScalarQuantizer::QT_8bit;
            auto graph = std::make_unique<faiss::IndexHNSWSQ>(d, kind, int(M), metric);
            graph->hnsw.efConstruction = EF_CONSTRUCTION;
            index_ = std::move(graph);
        } else if (name_ == "ivfflat") {
            quantizer_ = std::make_unique<faiss::IndexFlatIP>(d);
            auto ivf = std::make_unique<faiss::IndexIVFFlat>(quantizer_.get(), dim, lists, metric);
            ivf_ = ivf.get();
            index_ = std::move(ivf);
        } else if (name_ == "ivfpq4") {
            quantizer_ = std::make_unique<faiss::IndexFlatIP>(d);
            auto ivf = std::make_unique<faiss::IndexIVFPQFastScan>(quantizer_.get(), dim, lists,
                                                                   dim / 2, 4, metric);
            ivf_ = ivf.get();
            coded_ = std::move(ivf);
            auto refined = std::make_unique<faiss::IndexRefineFlat>(coded_.get());
            refined_ = refined.get();
            index_ = std::move(refined);
        } else {
            throw std::runtime_error("not a contender: " + name_);
        }
        if (ivf_)
            ivf_->cp.min_points_per_centroid = 1;
    }

    /* Rows to train with, from all over the base. */
    std::vector<float> sample(const Base &base) const {
        size_t want = std::min(rows_.size(), std::max(size_t(20000), ivf_ ? ivf_->nlist * 40 : 0));
        std::vector<float> out(want * base.dim);
        for (size_t i = 0; i < want; i++)
            base.row(rows_[i * rows_.size() / want], &out[i * base.dim]);
        return out;
    }
};

/* ---- commands --------------------------------------------------------------------------- */

class Server {
public:
    Server(const std::string &base, const std::string &name) : base_(base) {
        if (name == "hnswlib")
            contender_ = std::make_unique<Hnswlib>();
        else
            contender_ = std::make_unique<Faiss>(name);
    }

    void obey(const std::string &line) {
        std::istringstream words(line);
        std::string what;
        words >> what;
        if (what == "build")
            build(words);
        else if (what == "churn")
            churn(words);
        else if (what == "search")
            search(words);
        else
            throw std::runtime_error("not a command: " + line);
        fflush(stdout);
    }

private:
    Base base_;
    std::unique_ptr<Contender> contender_;

    void build(std::istringstream &words) {
        int threads = 1;
        std::string rows;
        words >> threads >> rows;
        std::vector<size_t> chosen = Bits(rows, base_.n).rows(base_.n);
        double begun = seconds_now();
        contender_->build(base_, chosen, threads);
        printf("{\"seconds\": %.4f, \"bytes\": %zu}\n", seconds_now() - begun, contender_->bytes());
    }

    void churn(std::istringstream &words) {
        std::string removed, added;
        words >> removed >> added;
        std::vector<size_t> gone = Bits(removed, base_.n).rows(base_.n);
        std::vector<size_t> come = Bits(added, base_.n).rows(base_.n);
        double begun = seconds_now();
        contender_->churn(base_, gone, come);
        printf("{\"seconds\": %.4f}\n", seconds_now() - begun);
    }

    void search(std::istringstream &words) {
        size_t k = 0, count = 0;
        std::string setting, path, mask, kind;
        words >> setting >> k >> count >> path >> mask >> kind;
        size_t colon = setting.find(':');
        int refined = colon == setting.npos ? 1 : std::stoi(setting.substr(colon + 1));
        std::vector<float> queries = read_queries(path, base_.dim);
        Bits filter(mask, base_.n);
        size_t n = std::min(count, queries.size() / base_.dim);
        std::vector<int64_t> ids(n * k);
        std::vector<double> us(n);
        contender_->set(std::stoi(setting), refined);
        contender_->prepare(filter, base_.n);
        for (size_t i = 0; i < std::min(n, size_t(WARM_UP)); i++)
            contender_->search(&queries[i * base_.dim], k, ids.data());
        double cpu = cpu_seconds();
        for (size_t i = 0; i < n; i++) {
            double begun = seconds_now();
            contender_->search(&queries[i * base_.dim], k, &ids[i * k]);
            us[i] = (seconds_now() - begun) * 1e6;
        }
        say(us, cpu_seconds() - cpu, ids);
    }

    static void say(const std::vector<double> &us, double cpu, const std::vector<int64_t> &ids) {
        printf("{\"us\": [");
        for (size_t i = 0; i < us.size(); i++)
            printf("%s%.2f", i ? "," : "", us[i]);
        printf("], \"cpu\": %.6f, \"ids\": [", cpu);
        for (size_t i = 0; i < ids.size(); i++)
            printf("%s%lld", i ? "," : "", static_cast<long long>(ids[i]));
        printf("]}\n");
    }
};

} // namespace

int main(int argc, char **argv) {
    try {
        if (argc != 3)
            throw std::runtime_error("usage: index_peers BASE CONTENDER");
        omp_set_num_threads(1);
        Server server(argv[1], argv[2]);
        printf("{\"contender\": \"%s\"}\n", argv[2]);
        fflush(stdout);
        for (std::string line; std::getline(std::cin, line);)
            server.obey(line);
    } catch (const std::exception &e) {
        fprintf(stderr, "index_peers: %s\n", e.what());
        return 1;
    }
    return 0;
}
