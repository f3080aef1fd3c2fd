"""The report: the results of a run or a sweep as one self-contained HTML page.

    load        run folder -> frozen values
    comparison  which cells belong together, how they are named (labels, conditions), which episode is shown
    figures     the tables; grid: success over delay as a table; plots: figures against delay, one episode against time
    study       a sweep under several conditions; findings: its sentences; panels: its drawings; chapters: its part of
                the page
    timeline    chunks and switches of one episode; animation: the same episode, moving
    page        all of it -> report.html

Only this package needs jinja2 and matplotlib; install rollahead[viz].
"""
