"""The report: what a run or a sweep left, as one self-contained page.

    load        run folder -> frozen values
    comparison  which cells belong together, what they are called (labels, conditions), which episode is shown
    figures     the tables, grid the one of success over delay; plots: figures against delay, one episode against time
    study       a sweep under several conditions: findings, what it says; panels, its drawings; chapters, its part of
                the page
    timeline    chunks and switches of one episode; animation: the same episode, moving
    page        all of it -> report.html

jinja2 and matplotlib are needed here and nowhere else; install rollahead[viz].
"""
