package zhilu.chat;

import java.util.List;
import java.util.Map;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.document.Document;
import org.springframework.ai.rag.advisor.RetrievalAugmentationAdvisor;
import org.springframework.ai.rag.retrieval.search.DocumentRetriever;
import org.springframework.ai.tool.annotation.Tool;
import org.springframework.ai.tool.annotation.ToolParam;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.stereotype.Component;
import reactor.core.publisher.Flux;

/** With Spring AI. Where Zhilu is, and which model, stands in application.properties. */
@Component
@ConditionalOnProperty(name = "zhilu.library", havingValue = "spring-ai", matchIfMissing = true)
public class SpringAi implements Answering {
    private final ChatClient chat;
    private final OrderTools tools;
    private final Knowledge knowledge;

    public SpringAi(ChatClient.Builder builder, Orders orders, Knowledge knowledge) {
        this.chat = builder.defaultSystem(RULES).build();
        this.tools = new OrderTools(orders);
        this.knowledge = knowledge;
    }

    /** What the model may call; Spring AI makes the schema from the annotations. */
    static final class OrderTools {
        private final Orders orders;

        OrderTools(Orders orders) {
            this.orders = orders;
        }

        @Tool(name = "order_status", description = "Where an order is, by its number")
        String orderStatus(@ToolParam(description = "The number of the order") String number) {
            return orders.statusOf(number);
        }
    }

    @Override
    public Flux<String> answer(List<Turn> turns, String knowledgeBase) {
        List<Message> messages = turns.stream().map(SpringAi::message).toList();
        ChatClient.ChatClientRequestSpec request = chat.prompt().messages(messages);
        if (knowledgeBase == null) return request.tools(tools).stream().content();
        DocumentRetriever retriever = query -> knowledge.search(knowledgeBase, query.text()).stream()
                .map(passage -> new Document(passage.text(), Map.of("source", passage.doc_name())))
                .toList();
        return request.advisors(RetrievalAugmentationAdvisor.builder().documentRetriever(retriever).build())
                .stream()
                .content();
    }

    private static Message message(Turn turn) {
        return turn.isQuestion() ? new UserMessage(turn.content()) : new AssistantMessage(turn.content());
    }
}
