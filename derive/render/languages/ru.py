"""Russian."""

WORDS = {
    "and": "и",
    # headings
    "{}: gradients of {}, step by step": "{0}: градиенты по {1}, шаг за шагом",
    "{}: gradients of all {} inputs, step by step": "{0}: градиенты по всем {1} входам, шаг за шагом",
    "Conventions": "Обозначения",
    "Given": "Дано",
    "Rewritten on entry": "Подготовка уравнений",
    "Gradients, from the last equation to the first": "Градиенты, от последнего уравнения к первому",
    "Theorems: the whole gradient of each input": "Теоремы: полный градиент по каждому входу",
    "Finite arithmetic": "Конечная арифметика",
    "Invariants": "Инварианты",
    "The other convention": "Другое соглашение",
    "A small example": "Небольшой пример",
    "The rules used": "Использованные правила",
    "On the way, by matrix products alone": "Попутно, одними матричными произведениями",
    "Results": "Результаты",
    "Checked": "Проверка",
    "Forward mode": "Прямой режим",
    "Kernels": "Программы",
    "Lemma: {}": "Лемма: {0}",
    "Named sum: {}": "Обозначенная сумма: {0}",
    "Theorem: {} in full": "Теорема: {0} полностью",
    "Theorem: {}": "Теорема: {0}",
    "Tangent: {}": "Касательная: {0}",
    "Equation: {}": "Уравнение: {0}",
    "Finite form: {}": "Конечная форма: {0}",
    "Invariant: sum of {} over {}": "Инвариант: сумма {0} по {1}",
    "Invariant: {}": "Инвариант: {0}",
    "Transposed storage: {}": "Транспонированное хранение: {0}",
    "Derivative: {}": "Производная: {0}",
    # conventions
    "Rows are examples. The gradient of {} is written {}, has {}'s shape, and holds the derivatives of the loss by its entries.": (
        "Строки — это примеры. Градиент по {0} обозначается {1}, имеет ту же форму, что и {2}, и состоит из производных функции потерь "
        "по его элементам."
    ),
    "Every sum is written. It reaches over the product that follows it, up to the next {} or {} outside brackets.": (
        "Все суммы выписаны. Знак суммы относится к следующему за ним произведению, до ближайшего {0} или {1} вне скобок."
    ),
    "An entry before the first, such as {} at {}, is 0; what needs earlier entries is computed in their order.": (
        "Элемент перед первым, например {0} при {1}, равен 0; то, чему нужны предыдущие элементы, вычисляется по порядку."
    ),
    "{} is 1 where {} and 0 elsewhere. Another index over the same axis gets a prime.": (
        "{0} равно 1 при {1} и 0 в остальных случаях. Другой индекс по той же оси отмечается штрихом."
    ),
    "{} is taken through the equation of {} alone, {} through every equation from {} to {}.": (
        "{0} берётся только через уравнение для {1}, а {2} — через все уравнения от {3} до {4}."
    ),
    "In matrix form, {} is the product entry by entry, {} a vector or a matrix of ones, and every factor has its shape under it.": (
        "В матричной записи {0} — поэлементное произведение, {1} — вектор или матрица из единиц, под каждым множителем указана его форма."
    ),
    "The batch axes lead every tensor and are left out: {}. Every line holds for each example on its own.": (
        "Оси пакета стоят первыми у каждого тензора и опущены: {0}. Каждая строка верна для каждого примера в отдельности."
    ),
    "The batch axis leads every tensor and is left out: {}. Every line holds for each example on its own.": (
        "Ось пакета стоит первой у каждого тензора и опущена: {0}. Каждая строка верна для каждого примера в отдельности."
    ),
    # what is given
    "tensor": "тензор",
    "shape": "форма",
    "role": "роль",
    "scalar": "скаляр",
    "input": "вход",
    "output": "выход",
    "in between": "промежуточный",
    "constant, not differentiated": "константа, не дифференцируется",
    "input, not differentiated here": "вход, здесь не дифференцируется",
    "integer labels in [{})": "целые метки из [{0})",
    "upstream gradient, that of {}": "градиент, приходящий сверху: по {0}",
    "Hypothesis, declared and used where named:": "Гипотеза, объявлена и используется там, где названа:",
    "Hypotheses, declared and used where named:": "Гипотезы, объявлены и используются там, где названы:",
    "Under the hypothesis": "При условии гипотезы",
    "How values flow down, and gradients up:": "Значения идут вниз, градиенты — вверх:",
    "The matrix products as boxes; equal axes are equally long:": "Матричные произведения в виде блоков; равные оси равны по длине:",
    "The equations above on axes {}, in exact numbers (long ones to six digits).": (
        "Уравнения выше при осях {0}, в точных числах (длинные — до шести знаков)."
    ),
    "The equations above, in exact numbers (long ones to six digits).": "Уравнения выше в точных числах (длинные — до шести знаков).",
    "Where the loss is the end of the computation, {}:": "Если вычисление заканчивается функцией потерь, то есть {0}:",
    "In general, without the hypothesis:": "В общем случае, без гипотезы:",
    "{} is {} × {}, but here its axis {} counts the rows and {} the columns: its transpose.": (
        "{0} имеет форму {1} × {2}, но здесь ось {3} нумерует строки, а {4} — столбцы: это транспонированная матрица."
    ),
    "Numerator layout: the axes of what is differentiated come first, so M outputs of N inputs give M × N; in denominator layout it is the transpose.": (
        "Раскладка по числителю: оси того, что дифференцируется, идут первыми, поэтому M выходов от N входов дают M × N; в раскладке по знаменателю матрица транспонирована."
    ),
    "The rows are the entries of the first tensor, the columns those of the second; dL is the upstream gradient of the scalar.": (
        "Строки — элементы первого тензора, столбцы — второго; dL — приходящий градиент скаляра."
    ),
    "with the length {}.": "с длиной {0}.",
    "with the lengths {}.": "с длинами {0}.",
    "an integer": "целое число",
    # the verdict
    "All {} lines in {} proofs hold, checked independently of how they were derived: {}.": (
        "Все строки верны ({0} строк, доказательств: {1}); проверка не зависит от вывода: {2}."
    ),
    "All {} lines in {} proof hold, checked independently of how they were derived: {}.": (
        "Все строки верны ({0} строк, доказательств: {1}); проверка не зависит от вывода: {2}."
    ),
    "{} in exact arithmetic": "{0} в точной арифметике",
    "{} in exact arithmetic and {} to {} digits": "{0} в точной арифметике и {1} до {2} знаков",
    "{} to {} digits": "{0} до {1} знаков",
    "{} of {} lines in {} do not hold, {} cannot be told; the first is line {} of {}.": (
        "Неверных строк: {0} из {1} ({2}), неустановленных: {3}; первая — строка {4} из {5}."
    ),
    # rules
    "by {}": "основание: {0}",
    "cancel": "сокращение",
    "chain rule": "цепное правило",
    "collect": "вынесение за скобку",
    "contract delta": "свёртка дельты",
    "count ones": "счёт единиц",
    "definition": "определение",
    "distribute": "раскрытие скобок",
    "exchange": "перестановка сумм",
    "fact": "факт",
    "fold": "подстановка известного",
    "identity": "тождество",
    "lemma": "лемма",
    "linearity": "линейность",
    "local derivative": "локальная производная",
    "log of product": "логарифм произведения",
    "max rule": "правило максимума",
    "name sum": "обозначение суммы",
    "normalised sum": "нормированная сумма",
    "order factors": "порядок множителей",
    "power rule": "правило степени",
    "product rule": "правило произведения",
    "pull out": "вынесение из суммы",
    "rename bound": "переименование индексов",
    "scalar chain rule": "скалярное цепное правило",
    "shift exponent": "сдвиг показателя",
    "unfold": "раскрытие определения",
    # what a rule did
    "{} reaches the loss through {}": "{0} влияет на функцию потерь через {1}",
    "{} reaches the loss through {}, by every path": "{0} влияет на функцию потерь через {1}, по всем путям",
    "chain rule, forward: every operand moves the value": "цепное правило, прямой режим: каждый операнд меняет значение",
    "the layer's equation": "уравнение слоя",
    "the lemma of the other layer, at the same numbers": "лемма другого слоя при тех же числах",
    "the derivative along every path": "производная по всем путям",
    "what was derived": "то, что было выведено",
    "{} cancels, or leaves the logarithm": "{0} сокращается или выходит из логарифма",
    "the terms cancel": "слагаемые взаимно уничтожаются",
    "gradients of the later equations are known": "градиенты последующих уравнений известны",
    "the gradient for a one-hot upstream gradient": "градиент при единичном приходящем градиенте",
    "the common factors are taken out": "общие множители вынесены",
    "term {}: the sum over {} collapses: only {} survives": "слагаемое {0}: сумма по {1} сворачивается: остаётся только {2}",
    "the sum over {} collapses: only {} survives": "сумма по {0} сворачивается: остаётся только {1}",
    "what {} is": "что такое {0}",
    "every term gets its own sum": "у каждого слагаемого своя сумма",
    "finite sums change places": "конечные суммы меняются местами",
    "by the declared hypothesis": "по объявленной гипотезе",
    "the lemma of {}, read from right to left": "лемма о {0}, прочитанная справа налево",
    "{} is known": "{0} известно",
    "the lemma of {}": "лемма о {0}",
    "constants leave, sums and derivatives change places": "константы выносятся, суммы и производные меняются местами",
    "an entry depends on itself alone": "элемент зависит только от самого себя",
    "at the largest entry": "в наибольшем элементе",
    "a logarithm turns the quotient into a difference": "логарифм превращает частное в разность",
    "an inner sum gets a name": "внутренняя сумма получает имя",
    "the shifted sum gets a name": "сдвинутая сумма получает имя",
    "{} is computed once": "{0} вычисляется один раз",
    "{} is divided by its own sum": "{0} делится на свою сумму",
    "what a sum does not run over leaves it": "то, что не зависит от индекса суммы, выносится",
    "{} does not depend on the summed index": "{0} не зависит от индекса суммирования",
    "summed indices get their plain names back": "индексы суммирования снова без штрихов",
    "at {}, the subgradient of {} is {}: {} is taken, as torch does": "при {0} субградиент {1} — это {2}: берётся {3}, как в torch",
    "where both are equal, the subgradient of {} is {}: {} is taken, as torch does": (
        "при равенстве субградиент {0} — это {1}: берётся {2}, как в torch"
    ),
    "{} = {} {}, for any {}": "{0} = {1} {2} при любом {3}",
    "for any {}": "при любом {0}",
    "The layer {}, its tensors told apart by a 2, is": "Слой {0}, его тензоры помечены двойкой:",
    "The inputs of {} are": "Входы слоя {0}:",
    "the other layer's equation": "уравнение другого слоя",
    "Equal: {}": "Равен: {0}",
    "Equal": "Равенства",
    "Then {} is": "Тогда {0} — это",
    "Then {} are": "Тогда {0} — это",
    "The same is computed by, with the proof on that layer's page,": "То же вычисляет (доказательство — на странице того слоя)",
    "Under the hypotheses": "При условии гипотез",
    "what was shown of {}": "то, что доказано о {0}",
    "expand": "раскрытие",
    "multiplied out": "скобки раскрыты",
    "multiplied out, read from right to left": "раскрытие скобок, прочитанное справа налево",
    "each exponential in one product with its quotient": "каждая экспонента в одном произведении со своим знаменателем",
    "where a length is 0, its subgradients are the vectors of length at most 1: 0 is taken, as torch.linalg.vector_norm does": "где длина равна 0, её субградиенты — векторы длины не больше 1: берётся 0, как в torch.linalg.vector_norm",
    "halve": "деление пополам",
    "each pair stands twice in the whole sum, once in either order": "каждая пара входит в полную сумму дважды, по разу в каждом порядке",
    "inverse rule": "правило обратной матрицы",
    "determinant rule": "правило определителя",
    "log determinant rule": "правило логарифма определителя",
    "where the matrix is not singular": "где матрица невырождена",
    "symmetry": "симметрия",
    "{} inverts a symmetric matrix": "{0} обращает симметричную матрицу",
    "Named: {}": "Обозначено: {0}",
    "name matrix": "обозначение матрицы",
    "what is asked for again gets a name": "то, что понадобится снова, получает имя",
    "bracket delta": "дельта в скобках",
    "only equal indices survive": "остаются только равные индексы",
    "like terms": "подобные слагаемые",
    "like terms, read from right to left": "подобные слагаемые, справа налево",
    "power of product": "степень произведения",
    "no factor is negative": "ни один множитель не отрицателен",
    "The gradient of the symmetric {} holds the derivatives by its entries, each moved alone. Where {} moves within the symmetric matrices, its symmetric part, half the sum of it and its transpose, is the gradient.": "Градиент по симметричной {0} состоит из производных по её элементам, каждый из которых меняется отдельно. Если {1} меняется среди симметричных матриц, градиент — его симметричная часть, полусумма с транспонированной матрицей.",
    "The Hessian by the tensor, times a direction of its shape, which stands as the upstream gradient of the backward pass: no Hessian is built. What is differentiated twice is the sum of the outputs times their upstream gradients.": "Гессиан по тензору, умноженный на направление той же формы, которое стоит как приходящий градиент обратного прохода: сам гессиан не строится. Дважды дифференцируется сумма выходов, умноженных на их приходящие градиенты.",
    # the page itself
    "detail": "подробность",
    "brief": "кратко",
    "full": "полно",
    "baby": "по шагам",
    "1 line between": "ещё 1 строка",
    "{} lines between": "ещё строк: {0}",
    "search": "поиск",
    "symbols": "символы",
}
