"""Simplified Chinese."""

WORDS = {
    "and": "和",
    # headings
    "{}: gradients of {}, step by step": "{0}：对 {1} 的梯度，逐步推导",
    "{}: gradients of all {} inputs, step by step": "{0}：对全部 {1} 个输入的梯度，逐步推导",
    "Conventions": "约定",
    "Given": "已知",
    "Rewritten on entry": "预处理",
    "Gradients, from the last equation to the first": "梯度：从最后一个方程到第一个",
    "Theorems: the whole gradient of each input": "定理：每个输入的完整梯度",
    "Finite arithmetic": "有限算术",
    "Invariants": "不变量",
    "The other convention": "另一种约定",
    "A small example": "小例子",
    "The rules used": "所用规则",
    "On the way, by matrix products alone": "中间结果，仅用矩阵乘积",
    "Results": "结果",
    "Checked": "检验",
    "Forward mode": "前向模式",
    "Kernels": "程序",
    "Lemma: {}": "引理：{0}",
    "Named sum: {}": "命名的和：{0}",
    "Theorem: {} in full": "定理：完整的 {0}",
    "Theorem: {}": "定理：{0}",
    "Tangent: {}": "切向量：{0}",
    "Equation: {}": "方程：{0}",
    "Finite form: {}": "有限形式：{0}",
    "Invariant: sum of {} over {}": "不变量：{0} 对 {1} 求和",
    "Invariant: {}": "不变量：{0}",
    "Transposed storage: {}": "转置存储：{0}",
    "Derivative: {}": "导数：{0}",
    # conventions
    "Rows are examples. The gradient of {} is written {}, has {}'s shape, and holds the derivatives of the loss by its entries.": (
        "每行是一个样本。对 {0} 的梯度记作 {1}，形状与 {2} 相同，其元素是损失对相应元素的导数。"
    ),
    "Every sum is written. It reaches over the product that follows it, up to the next {} or {} outside brackets.": (
        "所有求和都写出。求和号作用于其后的乘积，直到括号外的下一个 {0} 或 {1} 为止。"
    ),
    "{} is 1 where {} and 0 elsewhere. Another index over the same axis gets a prime.": (
        "当 {1} 时 {0} 为 1，否则为 0。同一轴上的另一个指标加撇号。"
    ),
    "{} is taken through the equation of {} alone, {} through every equation from {} to {}.": (
        "{0} 只经过 {1} 的方程，{2} 经过从 {3} 到 {4} 的所有方程。"
    ),
    "In matrix form, {} is the product entry by entry, {} a vector or a matrix of ones, and every factor has its shape under it.": (
        "在矩阵记号中，{0} 是逐元素乘积，{1} 是全 1 的向量或矩阵，每个因子下方标出其形状。"
    ),
    "The batch axes lead every tensor and are left out: {}. Every line holds for each example on its own.": (
        "批次轴位于每个张量之首，予以省略：{0}。每一行对每个样本分别成立。"
    ),
    "The batch axis leads every tensor and is left out: {}. Every line holds for each example on its own.": (
        "批次轴位于每个张量之首，予以省略：{0}。每一行对每个样本分别成立。"
    ),
    # what is given
    "tensor": "张量",
    "shape": "形状",
    "role": "角色",
    "scalar": "标量",
    "input": "输入",
    "output": "输出",
    "in between": "中间量",
    "constant, not differentiated": "常量，不求导",
    "input, not differentiated here": "输入，此处不求导",
    "integer labels in [{})": "取值于 [{0}) 的整数标签",
    "upstream gradient, that of {}": "上游梯度，即 {0} 的梯度",
    "Hypothesis, declared and used where named:": "假设（已声明，用到处注明）：",
    "Hypotheses, declared and used where named:": "假设（已声明，用到处注明）：",
    "Under the hypothesis": "在假设之下",
    "How values flow down, and gradients up:": "数值向下流动，梯度向上流动：",
    "The matrix products as boxes; equal axes are equally long:": "用方框表示的矩阵乘积；相同的轴长度相同：",
    "The equations above on axes {}, in exact numbers (long ones to six digits).": "上述方程在轴长 {0} 下的精确数值（较长者取六位数字）。",
    "The equations above, in exact numbers (long ones to six digits).": "上述方程的精确数值（较长者取六位数字）。",
    "Where the loss is the end of the computation, {}:": "若损失是计算的终点，即 {0}：",
    "In general, without the hypothesis:": "一般情形，不用假设：",
    "{} is {} × {}, but here its axis {} counts the rows and {} the columns: its transpose.": (
        "{0} 的形状是 {1} × {2}，但此处轴 {3} 为行、{4} 为列：取其转置。"
    ),
    "Numerator layout: the axes of what is differentiated come first, so M outputs of N inputs give M × N; in denominator layout it is the transpose.": (
        "分子布局：被求导量的轴在前，因此 N 个输入的 M 个输出给出 M × N；分母布局是其转置。"
    ),
    "The rows are the entries of the first tensor, the columns those of the second; dL is the upstream gradient of the scalar.": (
        "行是第一个张量的元素，列是第二个张量的元素；dL 是该标量的上游梯度。"
    ),
    # the verdict
    "All {} lines in {} proofs hold, checked independently of how they were derived: {}.": (
        "{1} 个证明中的 {0} 行全部成立，检验独立于推导：{2}。"
    ),
    "All {} lines in {} proof hold, checked independently of how they were derived: {}.": (
        "{1} 个证明中的 {0} 行全部成立，检验独立于推导：{2}。"
    ),
    "{} in exact arithmetic": "{0} 行用精确算术",
    "{} in exact arithmetic and {} to {} digits": "{0} 行用精确算术，{1} 行精确到 {2} 位数字",
    "{} to {} digits": "{0} 行精确到 {1} 位数字",
    "{} of {} lines in {} do not hold, {} cannot be told; the first is line {} of {}.": (
        "{1} 行（{2}）中有 {0} 行不成立，{3} 行无法判定；第一处是 {5} 的第 {4} 行。"
    ),
    # rules
    "by {}": "依据：{0}",
    "cancel": "消去",
    "chain rule": "链式法则",
    "collect": "提取公因子",
    "contract delta": "缩并 δ",
    "count ones": "数 1",
    "definition": "定义",
    "distribute": "分配律",
    "exchange": "交换求和",
    "fact": "事实",
    "fold": "代回已知量",
    "identity": "恒等",
    "lemma": "引理",
    "linearity": "线性",
    "local derivative": "局部导数",
    "log of product": "乘积的对数",
    "max rule": "最大值法则",
    "name sum": "为和命名",
    "normalised sum": "归一化的和",
    "order factors": "因子排序",
    "power rule": "幂法则",
    "product rule": "乘积法则",
    "pull out": "提出求和号",
    "rename bound": "指标改名",
    "scalar chain rule": "标量链式法则",
    "shift exponent": "指数平移",
    "unfold": "展开定义",
    # what a rule did
    "{} reaches the loss through {}": "{0} 经由 {1} 影响损失",
    "{} reaches the loss through {}, by every path": "{0} 经由 {1} 影响损失，沿所有路径",
    "chain rule, forward: every operand moves the value": "链式法则，前向：每个操作数都改变其值",
    "the layer's equation": "该层的方程",
    "the lemma of the other layer, at the same numbers": "另一层的引理，取相同的数",
    "the derivative along every path": "沿所有路径的导数",
    "what was derived": "已推导的结果",
    "{} cancels, or leaves the logarithm": "{0} 消去，或移出对数",
    "the terms cancel": "各项相消",
    "gradients of the later equations are known": "后面方程的梯度已知",
    "the gradient for a one-hot upstream gradient": "上游梯度为 one-hot 时的梯度",
    "the common factors are taken out": "提出公因子",
    "term {}: the sum over {} collapses: only {} survives": "第 {0} 项：对 {1} 的求和坍缩：只剩 {2}",
    "the sum over {} collapses: only {} survives": "对 {0} 的求和坍缩：只剩 {1}",
    "what {} is": "{0} 的定义",
    "every term gets its own sum": "每一项各自求和",
    "finite sums change places": "有限和可以交换次序",
    "by the declared hypothesis": "根据所声明的假设",
    "the lemma of {}, read from right to left": "{0} 的引理，从右往左读",
    "{} is known": "{0} 已知",
    "{} is known, {} is known": "{0} 已知，{1} 已知",
    "{} is known, {} is known, {} is known": "{0}、{1}、{2} 已知",
    "the lemma of {}": "{0} 的引理",
    "constants leave, sums and derivatives change places": "常数移出，求和与求导交换",
    "an entry depends on itself alone": "每个元素只依赖于自身",
    "at the largest entry": "在最大的元素处",
    "a logarithm turns the quotient into a difference": "对数把商变为差",
    "an inner sum gets a name": "给内层和命名",
    "the shifted sum gets a name": "给平移后的和命名",
    "{} is computed once": "{0} 只计算一次",
    "{} is divided by its own sum": "{0} 除以自身的和",
    "what a sum does not run over leaves it": "与求和指标无关的因子移出求和",
    "{} does not depend on the summed index": "{0} 与求和指标无关",
    "summed indices get their plain names back": "求和指标恢复原名",
    "at {}, the subgradient of {} is {}: {} is taken, as torch does": "在 {0} 处，{1} 的次梯度是 {2}：取 {3}，与 torch 相同",
    "where both are equal, the subgradient of {} is {}: {} is taken, as torch does": "两者相等时，{0} 的次梯度是 {1}：取 {2}，与 torch 相同",
    "{} = {} {}, for any {}": "{0} = {1} {2}，对任意 {3}",
    "for any {}": "对任意 {0}",
    # the page itself
    "detail": "详细程度",
    "brief": "简略",
    "full": "完整",
    "baby": "逐步",
    "1 line between": "中间 1 行",
    "{} lines between": "中间 {0} 行",
    "search": "搜索",
    "symbols": "符号",
}
