package zhilu.chat;

import java.util.List;
import reactor.core.publisher.Flux;

/** Answers a conversation piece by piece. Whoever stops listening stops the model. */
public interface Answering {
    String RULES = "Answer in the language of the question, briefly.";

    /** {@code role} is "user" or "assistant". */
    record Turn(String role, String content) {
        boolean isQuestion() {
            return "user".equals(role);
        }
    }

    /**
     * @param turns what was said, the question last
     * @param knowledgeBase name of a knowledge base to answer from; null: the model's own knowledge, and the tools
     */
    Flux<String> answer(List<Turn> turns, String knowledgeBase);
}
