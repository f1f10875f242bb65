"""main: from a dataset to the pruned-accuracy curve of every arm beside random. Run: mlflow run ."""

from influence.command import run
from influence.config import EvaluateStep, MainStep, SampleStep, ScoreStep, narrow


def main(config: MainStep) -> None:
    """Chain train, score, and per arm sample and evaluate; then compare with random."""
    from influence import artifacts, cluster, steps, tracking

    arms = steps.parse_arms(config.arms)
    score_config = narrow(
        config, ScoreStep, training="from train", score=steps.wanted(config.score, arms)
    )
    note = f"Pruned-accuracy curves of {len(arms)} arms on {config.dataset} with {config.model}."
    with (
        tracking.run(config, f"{config.dataset} · {config.model}", note, step="main") as parent,
        cluster.engine(config) as engine,
    ):
        with tracking.child(
            config, "train", "Checkpoints and observations.", step="train"
        ) as opened:
            training = opened.follow(steps.train(config, engine, score_config.score))
            artifacts.train(opened, training)
        with tracking.child(score_config, "score", "Influence scores.", step="score") as opened:
            scored = opened.follow(steps.score(score_config, training, engine))
            artifacts.score(opened, scored)
        curves = {}
        for arm in map(str, arms):
            sample_config = narrow(config, SampleStep, scores=str(scored), arm=arm)
            with tracking.child(
                sample_config, f"sample {arm}", f"What {arm} keeps.", step="sample"
            ) as opened:
                sampled = opened.follow(steps.sample(sample_config, scored))
                artifacts.sample(opened, sampled)
            evaluate_config = narrow(config, EvaluateStep, sample=str(sampled))
            with tracking.child(
                evaluate_config, arm, f"The curve of {arm}.", step="evaluate"
            ) as opened:
                curves[arm] = opened.follow(steps.evaluate(evaluate_config, sampled, engine))
                artifacts.evaluate(opened, curves[arm])
        print(artifacts.comparison(parent, curves).round(4).to_string(index=False))


if __name__ == "__main__":
    run("main", main)
