"""The report: what a run or a sweep left, as one self-contained page.

    load        run folder -> frozen values
    comparison  which cells belong together, what they are called, which episode is shown
    figures     the table; plots: success against delay, one episode against time
    timeline    chunks and switches of one episode; animation: the same episode, moving
    page        all of it -> report.html

jinja2 and matplotlib are needed here and nowhere else; install rollahead[viz].
"""
