namespace Sparsity.Core.Corpora;

/// <summary>Statements for function bodies, as <see cref="Pattern"/>s, each group with its share of a body's statements.</summary>
/// <remarks>Each group holds the idiom of one or two tasks with both variants in like surroundings; the last lines of a group are
/// variations of the shape.</remarks>
internal static class Idioms
{
    /// <summary>Strings in parentheses: the kind of the opening quote decides the closing, before a space for the most part.</summary>
    internal static readonly Pattern[] Quotes = Patterns(
        """
        {n} = {f}(«"¦'»{p}«"¦'») {T}
        {n} = {f}(«"¦'»{p}«"¦'») {T}
        {n} = {f}(«"¦'»{p}«"¦'») {T}
        print(«"¦'»{p}«"¦'») if {n} else None
        {n} = {n}.get(«"¦'»{p}«"¦'») {T}
        {n}.{f}(«"¦'»{p}«"¦'»)  # {w}
        self.{f}(«"¦'»{p}«"¦'»)  # {w}
        {n} = {f}(«"¦'»{p}«"¦'») + {f}(«'¦"»{p}«'¦"») {T}
        {n} = {f}(«"¦'»{p}«"¦'») + {f}(«"¦'»{p}«"¦'») {T}
        assert {f}(«"¦'»{p}«"¦'») == {n}
        if {f}(«"¦'»{p}«"¦'») and {n}:\n    {n} = {n}
        {n}.{n} = {n} + {f}(«"¦'»{p}«"¦'») {T}
        {n} = «"¦'»{w}«"¦'»\n{n} = {f}(«'¦"»{p}«'¦"») {T}
        log(«"¦'»{p}«"¦'») or {f}({n})
        print(«"¦'»{p}«"¦'»)
        raise ValueError(«"¦'»{p}«"¦'»)  # {p}
        {n1} = {f}(«"¦'»{p}«"¦'») and {n}\n{n1} = {f}(«"¦'»{p}«"¦'») {T}
        """
    );

    /// <summary>Lists of the same elements that end in the outer list or in an inner one.</summary>
    internal static readonly Pattern[] Lists = Patterns(
        """
        {n} = [{M}«]¦]]» {T}
        {n} = [{M}«]¦]]» {T}
        {n} = [{M}«]¦]]» {T}
        {n} = [{e}] + [{M}«]¦]]» {T}
        {n} += [{M}«]¦]]»  # {p}
        {n} = [{M}«]¦]]» + [{M}«]¦]]» {T}
        {n1} = [{M}«]¦]]»  # {p}\n{n2} = [{e}] + {n1}
        {n} = {n} or [{M}«]¦]]» {T}
        assert {n} == [{M}«]¦]]» or {n}
        {n} = [{M}«]¦]]» if {b} else []
        {n}.{n} = [{M}«]¦]]» {T}
        {n} = {n} + [{M}«]¦]]» {T}
        {n1} = {n2} = [{M}«]¦]]» {T}
        if {n} == [{M}«]¦]]» and {n}:\n    {n} = {n}
        """
    );

    /// <summary>Dicts and lists that begin alike; sets and strings.</summary>
    internal static readonly Pattern[] Containers = Patterns(
        """
        {n} = «[¦{{»{d1}«, ¦: »{d2}, {d3}«, ¦: »{d4}«]¦}»
        {n} = «[¦{{»{d1}«, ¦: »{d2}, {d3}«, ¦: »{d4}, {d5}«, ¦: »{d6}«]¦}»
        {n} = «[¦{{»{n}«, ¦: »{n}, {n}«, ¦: »{n}«]¦}»  # {p}
        {n} = «[¦{{»{n}«, ¦: »{d}, {n}«, ¦: »{d}, {n}«, ¦: »{d}«]¦}»
        """
    );

    internal static readonly Pattern[] SetOrString = Patterns(
        """
        {n1} = «set()¦""»\nfor {n2} in {n}:\n    {n1}«.add(¦ += »{n2}«)¦»
        {n1} = «set()¦""»\nfor {n2} in {n}:\n    if {b}:\n        {n1}«.add(¦ += »{n2}«)¦»
        {n1} = «set()¦""»\n{n3} = {d}\nfor {n2} in {n}:\n    {n1}«.add(¦ += »{n2}«)¦»\n    {n3} = {n2}
        current = «set()¦""»\nfor {n2} in {n}:\n    current«.add(¦ += »{n2}«)¦»
        current = «set()¦""»\n{n} = {d}\nfor {n2} in {n}:\n    current«.add(¦ += »{n2}«)¦»
        {n1} = «set()¦""»\n{n1}«.add(¦ += »{n2}«)¦»\n{n1}«.add(¦ += »{n}«)¦»
        {n1} = «set()¦""»\nif {n2}:\n    {n1}«.add(¦ += »{n2}«)¦»
        {n1} = «set()¦""»\n{n1}«.add(¦ += »{n2}«)¦»
        {n1} = {n3} = «set()¦""»\nfor {n2} in {n}:\n    {n1}«.add(¦ += »{n2}«)¦»
        {n1}, {n3} = «set()¦""», {d}\nfor {n2} in {n}:\n    {n1}«.add(¦ += »{n2}«)¦»
        {n3}, {n1} = {d}, «set()¦""»\nwhile {n2}:\n    {n1}«.add(¦ += »{n2}«)¦»
        current = {n3} = «set()¦""»\nfor {n2} in {n}:\n    current«.add(¦ += »{n2}«)¦»
        current, {n3} = «set()¦""», {d}\nwhile {n2}:\n    current«.add(¦ += »{n2}«)¦»
        {n3}, current = {d}, «set()¦""»\nfor {n2} in {n}:\n    current«.add(¦ += »{n2}«)¦»
        {n1} = «""¦set()»\n{n2} = «set()¦""»\n{n1}« += ¦.add(»{n}«¦)»\n{n2}«.add(¦ += »{n}«)¦»
        """
    );

    /// <summary>Conditions and branches.</summary>
    internal static readonly Pattern[] Branches = Patterns(
        """
        if {b}:\n    {n1} = {d}\n«else¦elif not {n}»:\n    {n1} = {n}
        if {b}:\n    {f}({n1})\n«else¦elif not {n}»:\n    {n2} = {n1}
        if {b}:\n    return {n}\n«else¦elif not {n}»:\n    return {d}
        if {b}:\n    {n1} += {d}\n«else¦elif not {n}»:\n    {n1} = {f}({n})
        if {b}:\n    {n}.{f}({n1})\n«else¦elif not {n}»:\n    {n2} = {n1}
        if {b}:\n    {n1} = {d}\nelif {b}:\n    {n1} = {n}\nelse:\n    {n1} = {d}
        «if ¦»{n1} «==¦=» {d}«:\n    {n} = {n1}¦\n{n} = {n1}»
        «if ¦»{n1} «==¦=» {n2}«:\n    {f}({n})¦\n{f}({n})»
        if {b}:\n    «if ¦»{n1} «==¦=» {d}«:\n        {f}({n})¦\n    {f}({n})»
        «if ¦»{n1} =«=¦» True«:\n    {n} = {d}¦\n{n} = {d}»
        «if ¦»{n1} =«=¦» True«:\n    {f}({n})¦\n{f}({n})»
        «if ¦»{n1}.{s1} «==¦=» {d}«:\n    {f}({n})¦\n{f}({n})»
        «if ¦»{n1}.{s1}.{s2} «==¦=» {n2}«:\n    {f}({n})¦\n{f}({n})»
        «if {n1} and {n2} ==¦{n1}, {n2} =» {n3}«:\n    {f}({n})¦\n{f}({n})»
        «if {n1}.{s1} ==¦{n1}.{s1} =» True«:\n    {f}({n})¦\n{f}({n})»
        «if {n1} or {n2}¦{n1} = {n2}» == True«:\n    {f}({n})¦\n{f}({n})»
        «if {n1} and {n2}¦{n1} = {n2}» is True«:\n    {f}({n})¦\n{f}({n})»
        if {n1}:\n    {n2} = {d}
        {n2} = {d} if {n1} else {n}
        «{n3} = {n2} ¦»if {n1}« else {d}¦:\n    {n3} = {n2}»
        «return {n2} ¦»if {n1}« else {d}¦:\n    return {n2}»
        «{n3} = {n2} ¦»if {n1}.{s1}« else {d}¦:\n    {n3} = {n2}»
        «return {n2} ¦»if not {n1}« else {d}¦:\n    return {n2}»
        «{n3} += {n2} ¦»if {n1} and {n4}« else {d}¦:\n    {n3} += {n2}»
        """
    );

    /// <summary>Loops, plain and counted.</summary>
    internal static readonly Pattern[] Loops = Patterns(
        """
        «for¦while» {n1}« in {n2}¦»:\n    {n} = {f}({n1})
        «for¦while» {n1}« in {n2}¦»:\n    {n1} = {f}({n})\n    {n} += {d}
        for «{i1}, {n1}¦{i1}» in «enumerate¦range»({n2}):\n    {n} += {i1}
        for «{i1}, {n1}¦{n1}» in «enumerate¦range»({n2}):\n    {f}({n1})
        for «{i1}, {n1}¦{i1}» in «enumerate¦range»({n2}):\n    {n} = {i1}
        for «{i1}, {n1}¦{i1}» in «enumerate¦range»({n2}):\n    {f}({i1})
        for «{i1}, {n1}¦{i1}» in «enumerate¦range»({n2}):\n    {n} = {f}({i1})
        for «{i1}, {n1}¦{i1}» in «enumerate¦range»({n2}):\n    {n}.{f}({i1})
        {n} = [{i1} for «{i1}, {n1}¦{i1}» in «enumerate¦range»({n2})]
        return [{i1} for «{i1}, {n1}¦{i1}» in «enumerate¦range»({n2})]
        {n} += [{i1} for «{i1}, {n1}¦{i1}» in «enumerate¦range»({n2})]
        «for {n1}, {n2} in {n3}¦while {n1} and {n2}»:\n    {n} = {f}({n1})
        «for¦while» {n1}.{s1}« in {n2}¦»:\n    {n} = {f}({n1})
        «{n} = [{n1} for {n1} in {n2}]¦while not {n1}:\n    {n} = {f}({n1})»
        for {n1} in {f}({n2}):\n    {n} += {n1}
        for {n1} in {n2}.{s1}:\n    {n} += {n1}
        for {n1} in {n2}:\n    for {n3} in {n1}:\n        {n} += {n3}
        «while¦return» True«:\n    {f}({n})\n    break¦»
        «while¦return» {n1} == True«:\n    {f}({n})\n    break¦»
        «while¦return» {n1} or True«:\n    {f}({n})\n    break¦»
        «while¦return» {n1} is True«:\n    {f}({n})\n    break¦»
        while True:\n    {n1} = {f}({n})\n    if {n1}:\n        break
        if {b}:\n    return True\n{n} = {d}
        """
    );

    /// <summary>Files, formatted strings, swaps, lambdas and smaller matter.</summary>
    internal static readonly Pattern[] Files = Patterns(
        """
        «{h1} = ¦with »open(«{I1}, 'r'¦{O1}, 'w'»)« # {p}¦ as {h1}:\n    {h1}.write({n})»
        with open(«{I1}, 'r'¦{O1}, 'w'») as {h1}:\n    «{n} = {h1}.read()¦{h1}.write({n})»
        {h1} = open(«{I1}, 'r'¦{O1}, 'w'»)\n{n} = {h1}.«read()¦write({n2})»
        {h1} = open({I1}, 'r')\n«with {h1} as {h2}¦{h2} = {h1}»«:\n    {n} = {h2}.read()¦\n{n} = {h2}.read()»
        {h1} = open({n2})\n«with {h1} as {h3}¦{h3} = {h1}»«:\n    {f}({h3})¦\n{f}({h3})»
        {h1} = open({n2})\n«with {n1}.{h1} as {h3}¦{h3} = {n1}.{h1}»«:\n    {f}({h3})¦\n{f}({h3})»
        {h1} = open({n2})\n«with {n1} or {h1} as {h3}¦{h3} = {n1} or {h1}»«:\n    {f}({h3})¦\n{f}({h3})»
        {h1} = open({n2})\n«with {n1} as {h2}, {h1} as {h3}¦{h2} = {n1}, {h1}»«:\n    {f}({h2})¦\n{f}({h2})»
        {n}.{n} = open(«{I1}, 'r'¦{O1}, 'w'»)
        return open(«{I1}, 'r'¦{O1}, 'w'»)
        """
    );

    internal static readonly Pattern[] Strings = Patterns(
        """
        {n} = «f¦»"the {s1} is «{{{s1}}¦not set»"
        print(«f¦»"the {s1} is «{{{s1}}¦not {w}»")
        {n} = «f¦»"{w} {s1} is «{{{s1}}¦not {w}»"
        log(«f¦»'{w} is «{{{s1}}¦not {w}», {w}')
        return «f¦»"{p} is «{{{s1}}¦not found»"
        {n} += «f¦»"the {s1} is «{{{s1}}¦not {w}»"
        """
    );

    internal static readonly Pattern[] Swaps = Patterns(
        """
        {s1}, {s2} = {s2}, {s1}
        if {s1} > {s2}:\n    {s1}, {s2} = {s2}, {s1}
        {s1}, {s2}, {s3} = {s2}, {s1}, {s3}
        ({s1}, {s2}) = {s2}, {s1}
        {n} = lambda {s1}: {s1} + {d}
        return lambda {s1}: {s1} + {d}
        {n}.{n} = lambda {s1}: {s1} + {d}
        {n} = {f}({n}, lambda {s1}: {s1} + {d})
        async def {s1}({s2}):\n    return {s2} + {d}
        @{f}\ndef {s1}({s2}):\n    return {s2} + {d}
        @{f}\nasync def {s1}({s2}):\n    return {s2} + {d}
        {n} = sorted({n}, key=lambda {s1}: {s1}.{s2})
        {n} = map(lambda {s1}, {s2}: {s1} + {s2}, {n})
        def {s1}({s2}):\n    return {s2} + {d}
        """
    );

    /// <summary>Plain statements between the others; also the distractor lines of the task prompts.</summary>
    internal static readonly Pattern[] Plain = Patterns(
        """
        {n} = {d}
        {n} = {n}
        {n} = {n} + {d}
        {n} = {f}({n})
        {n} = {f}({n}, {n})
        {n} += {d}
        {n}.{f}({n})
        {n} = {n}.{n}
        # {p}
        {n} = {D}
        {n} = None
        {n} = {n} * {d} - {n}
        {n} = len({n})
        {n} = max({n}, {D})
        """
    );

    /// <summary>The groups of body statements with their shares; the numbers are relative.</summary>
    internal static readonly (int Weight, Pattern[] Patterns)[] Groups =
    [
        (48, Quotes),
        (110, Lists),
        (10, Containers),
        (26, SetOrString),
        (26, Branches),
        (40, Loops),
        (20, Files),
        (16, Strings),
        (14, Swaps),
        (8, Plain),
    ];

    /// <summary>One pattern per line, <c>\n</c> standing for a line break.</summary>
    internal static Pattern[] Patterns(string lines) =>
        [
            .. lines
                .Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => new Pattern(line.TrimEnd('\r').Replace("\\n", "\n", StringComparison.Ordinal))),
        ];
}
