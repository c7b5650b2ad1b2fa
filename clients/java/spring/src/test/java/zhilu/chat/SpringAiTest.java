package zhilu.chat;

import org.springframework.boot.test.context.SpringBootTest;

@SpringBootTest(webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT, properties = "zhilu.library=spring-ai")
class SpringAiTest extends ChatPromises {}
