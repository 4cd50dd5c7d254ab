namespace Sparsity.Core.Corpora;

/// <summary>
/// The words that synthetic Python is made of. Common ones stand first; <see cref="Skewed"/> draws those more often, as in real text.
/// </summary>
internal static class WordPools
{
    /// <summary>Nouns for variables and attributes, none of them a Python keyword.</summary>
    internal static readonly string[] Nouns = Split(
        """
        name value data count size total items index key result path line node user text label score level state table
        row cell field group event token word page point rate step values head tail left right first second start stop
        limit offset width height color title owner queue stack cache batch record entry child parent source target model
        price amount weight depth buffer chunk region sensor signal status message reply request answer budget account order ticket
        branch leaf root edge graph matrix vector column report summary detail option config setting filter mask scale factor
        margin border frame layer block segment section chapter letter number digit symbol pattern rule policy plan task
        job worker server client session channel packet port host folder archive image shape color_map texture camera lens
        city street house room door window garden river mountain forest island harbor bridge tower planet star comet moon
        valley basket ladder engine wheel mirror lamp ticket_id
        """
    );

    /// <summary>Adjectives for names and prose.</summary>
    internal static readonly string[] Adjectives = Split(
        """
        new old big small fast slow open ready last next best empty full local remote valid wrong active final hidden
        known raw clean dirty busy idle early late short long high low dark bright warm cold quiet loud simple odd
        """
    );

    /// <summary>Verbs for functions.</summary>
    internal static readonly string[] Verbs = Split(
        """
        get set_up make load save find check add_up show read_all send parse build count_up merge split_by sort_by join_all
        filter_out update remove_from reset convert compute collect select render describe compare validate fetch store apply
        handle move copy_to scan match_all measure reduce expand shrink rotate follow label_for notify report_on
        """
    );

    /// <summary>Further words for strings, comments and docstrings.</summary>
    internal static readonly string[] Prose = Split(
        """
        the a is not of to in for with and all done no more one two some done found missing here there
        again now later before after over under above below between today soon please wait failed started stopped
        loaded saved closed opened skipped changed unknown empty ready good bad hello world given each every other
        """
    );

    /// <summary>Names of files that are read.</summary>
    internal static readonly string[] Inputs = Split("input source infile in_path input_file source_path read_from input_path");

    /// <summary>Names of files that are written.</summary>
    internal static readonly string[] Outputs = Split("output target outfile out_path output_file target_path write_to output_path");

    /// <summary>Names of opened files.</summary>
    internal static readonly string[] Handles = Split("file stream document reader writer log_file data_file text_file handle archive");

    /// <summary>Modules to import.</summary>
    internal static readonly string[] Modules = Split(
        "os sys json math re time random itertools functools collections logging pathlib string shutil heapq"
    );

    /// <summary>One of <paramref name="pool"/>, early ones more often.</summary>
    internal static string Skewed(RandomSource random, string[] pool) =>
        pool[Math.Min(random.NextInt(pool.Length), random.NextInt(pool.Length))];

    private static string[] Split(string words) => words.Split([' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries);
}
